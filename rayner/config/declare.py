"""The declaration of a setting.

A setting is one dataclass field. Its declaration holds the default, meaning, choices, bounds, and the steps that read
the setting.
"""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

STEPS = (
    "data", "train_slm", "cross_fit_slm", "build_index", "train_llm", "score", "cross_fit", "tune_fusion", "tag_corpus",
    "pretrain",
)  # fmt: skip
PREDICTION = ("score", "tag_corpus")  # the steps in which the models predict
_METADATA_KEY = "setting"


@dataclass(frozen=True)
class StepIf:
    """A step that reads a setting only if a condition on the whole configuration holds."""

    step: str
    condition: Callable[[Any], bool]


Steps = Sequence[str | StepIf]


@dataclass(frozen=True)
class Declaration:
    """The declaration of a setting, without its name, type and default.

    description: the meaning of the setting, as help prints it.
    steps: the steps whose outcome depends on the value; () if there are none. None means the steps of the section.
    choices: the allowed values; empty if any value is allowed. In a list, choices and bounds apply to each element.
    accepts_plugin: whether the value may also name the user's own code, as `module:name`.
    at_least: the smallest allowed value.
    above: a lower bound that the value must exceed.
    at_most: the largest allowed value.
    by_content: whether the value names a text whose content matters, not its path. A step that reads the text adds a
        digest of the text to its inputs.
    essential: whether help shows the setting without `--help all`.
    """

    description: str
    steps: Steps | None = None
    choices: Sequence[str | int] = ()
    accepts_plugin: bool = False
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    by_content: bool = False
    essential: bool = False


def setting(default: Any, description: str, **declared: Any) -> Any:  # noqa: ANN401 - the default of any dataclass field
    """Declare a setting as a dataclass field.

    declared: the other fields of `Declaration`.
    """
    metadata = {_METADATA_KEY: Declaration(description, **declared)}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def section(section_type: type[Any], steps: Steps | None = None) -> Any:  # noqa: ANN401 - as in `setting`
    """Declare a section of settings.

    steps: the steps of every setting in the section that declares no steps.
    """
    return field(default_factory=section_type, metadata={_METADATA_KEY: Declaration("", steps)})


def find_plain_value_setting(section_type: type[Any]) -> str | None:
    """Return the setting that a plain value in the place of a section sets; None if the section takes no plain value.

    A section class names this setting as PLAIN_VALUE. The key of the setting is the key of the section.
    """
    return getattr(section_type, "PLAIN_VALUE", None)


@dataclass(frozen=True)
class SettingInfo:
    """A setting of the whole configuration.

    key: the dotted name, such as `slm.workers.count`.
    steps: the steps of the setting or, if it declares none, of its section; None if neither declares any.
    """

    key: str
    default: Any
    declaration: Declaration
    steps: Steps | None

    @property
    def help_text(self) -> str:
        """The meaning of the setting, followed by its choices unless the meaning already lists them."""
        choices, description = self.declaration.choices, self.declaration.description
        return f"{description} [{', '.join(map(str, choices))}]" if choices and "|" not in description else description


def iter_settings(
    config_type: type[Any], prefix: str = "", section_steps: Steps | None = None
) -> Iterator[SettingInfo]:
    """Yield every setting of a configuration class and its sections, in the order of declaration."""
    hints, defaults = typing.get_type_hints(config_type), config_type()
    for each in dataclasses.fields(config_type):
        is_plain_value = each.name == find_plain_value_setting(config_type)
        hint, key = hints[each.name], prefix.removesuffix(".") if is_plain_value else prefix + each.name
        declaration: Declaration = each.metadata[_METADATA_KEY]
        own_steps = section_steps if declaration.steps is None else declaration.steps
        if dataclasses.is_dataclass(hint):
            yield from iter_settings(typing.cast(type[Any], hint), f"{key}.", own_steps)
        else:
            yield SettingInfo(key, getattr(defaults, each.name), declaration, own_steps)

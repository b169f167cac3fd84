"""How a setting is declared: one field with its default, meaning, choices, bounds and the steps that read it."""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

STEPS = ("data", "train_slm", "build_index", "train_llm", "score", "cross_fit", "tune_fusion", "tag_corpus")
_METADATA_KEY = "setting"


@dataclass(frozen=True)
class StepIf:
    """A step that reads a setting only where a condition on the whole configuration holds."""

    step: str
    condition: Callable[[Any], bool]


Steps = Sequence[str | StepIf]


@dataclass(frozen=True)
class Declaration:
    """What is declared of a setting besides its name, type and default.

    choices: the values allowed; empty for any. In a list, the choices and bounds hold for each element.
    accepts_plugin: the value may also name code of the user's own, `module:name`.
    at_least, above, at_most: bounds; `above` excludes its value.
    steps: the steps whose outcome depends on the value; () for none. None: the steps of the section hold.
    by_content: the value names a text whose content counts, not its place: steps add a digest of the text themselves.
    """

    description: str
    steps: Steps | None = None
    choices: Sequence[str | int] = ()
    accepts_plugin: bool = False
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    by_content: bool = False


def setting(default: Any, description: str, **declared: Any) -> Any:  # noqa: ANN401 - the default of any dataclass field
    """Declare a setting as a dataclass field. declared: the other fields of `Declaration`."""
    metadata = {_METADATA_KEY: Declaration(description, **declared)}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def section(section_type: type[Any], steps: Steps | None = None) -> Any:  # noqa: ANN401 - as in `setting`
    """Declare a section of settings. steps: those of each setting in it that declares none."""
    return field(default_factory=section_type, metadata={_METADATA_KEY: Declaration("", steps)})


@dataclass(frozen=True)
class SettingInfo:
    """A setting of the whole configuration.

    key: its dotted name, such as `slm.workers.count`; steps: as in `Declaration`, with those of its section;
    None where neither declares any.
    """

    key: str
    default: Any
    declaration: Declaration
    steps: Steps | None

    @property
    def help_text(self) -> str:
        """Its meaning and, where the meaning does not list them, its choices."""
        choices, description = self.declaration.choices, self.declaration.description
        return f"{description} [{', '.join(map(str, choices))}]" if choices and "|" not in description else description


def iter_settings(
    config_type: type[Any], prefix: str = "", section_steps: Steps | None = None
) -> Iterator[SettingInfo]:
    """Yield every setting of a configuration class, in the order of declaration, sections unfolded."""
    hints, defaults = typing.get_type_hints(config_type), config_type()
    for each in dataclasses.fields(config_type):
        hint, key = hints[each.name], prefix + each.name
        declaration: Declaration = each.metadata[_METADATA_KEY]
        own_steps = section_steps if declaration.steps is None else declaration.steps
        if dataclasses.is_dataclass(hint):
            yield from iter_settings(typing.cast(type[Any], hint), f"{key}.", own_steps)
        else:
            yield SettingInfo(key, getattr(defaults, each.name), declaration, own_steps)

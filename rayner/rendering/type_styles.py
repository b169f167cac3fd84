"""Give each entity type a colour."""

from collections.abc import Sequence

# Hue (degrees) and saturation (%) by type code (`text.entity_types`). Types that occur together have distant hues.
_COLOURS = {
    "NR": (8, 70),
    "NS": (150, 55),
    "NB": (42, 80),
    "NO": (275, 50),
    "NG": (215, 65),
    "T": (185, 60),
    "ZD": (355, 65),
    "ZZ": (285, 45),
    "ZF": (38, 80),
    "ZP": (130, 45),
    "ZS": (210, 65),
    "ZA": (175, 60),
}
_SPARE_HUES = (320, 95, 240, 65, 20, 200, 120, 300)


def assign_type_colours(types: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the hue (degrees) and the saturation (%) of each type. The order of `types` does not affect them."""
    unknown_types = sorted(set(types) - set(_COLOURS))
    return {type_name: _COLOURS[type_name] for type_name in types if type_name in _COLOURS} | {
        type_name: (_SPARE_HUES[i % len(_SPARE_HUES)], 50) for i, type_name in enumerate(unknown_types)
    }

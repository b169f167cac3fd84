"""Give each entity type a colour."""

from collections.abc import Sequence

# By code (`text.entity_types`), hue (degrees) and saturation (%). Types that occur together have hues far apart.
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
    """Return hue (degrees) and saturation (%) of each type. Colours do not depend on the order of the types."""
    unknown_types = sorted(set(types) - set(_COLOURS))
    return {type_name: _COLOURS[type_name] for type_name in types if type_name in _COLOURS} | {
        type_name: (_SPARE_HUES[i % len(_SPARE_HUES)], 50) for i, type_name in enumerate(unknown_types)
    }

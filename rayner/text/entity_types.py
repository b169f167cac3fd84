"""The entity types that have names in rayner, in the order in which pages and tables list them.

Types come from the labelled files, so any other type works as well. It only has no names here.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EntityType:
    """A type's code in labelled files, and its name in English, simplified Chinese and traditional Chinese."""

    code: str
    english: str
    simplified: str
    traditional: str


ENTITY_TYPES = (
    EntityType("NR", "person", "人名", "人名"),
    EntityType("NS", "place", "地名", "地名"),
    EntityType("NB", "book", "书名", "書名"),
    EntityType("NO", "office", "官职", "官職"),
    EntityType("NG", "country", "国名", "國名"),
    EntityType("T", "time", "时间", "時間"),
    EntityType("ZD", "disease", "疾病", "疾病"),
    EntityType("ZZ", "syndrome", "证候", "證候"),
    EntityType("ZF", "formula", "方剂", "方劑"),
    EntityType("ZP", "decoction piece", "饮片", "飲片"),
    EntityType("ZS", "symptom", "症状", "症狀"),
    EntityType("ZA", "acupoint", "穴位", "穴位"),
)
_ORDER = tuple(entity_type.code for entity_type in ENTITY_TYPES)


def sort_types(types: Iterable[str]) -> list[str]:
    """Return the distinct types: first those of ENTITY_TYPES in the same order, then the others by name."""
    distinct = set(types)
    return [code for code in _ORDER if code in distinct] + sorted(distinct - set(_ORDER))

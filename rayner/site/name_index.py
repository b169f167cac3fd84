"""The index of entities as scripts that a page reads when it needs them: names in shards, their places in others.

    names/N.js   rayner.putData("names/N", [[name, type, times, documents, mean score, file of places, row there], ...])
    places/N.js  rayner.putData("places/N", [["document.page:at,at;document.page:at", [[before, after], ...]], ...])

Names are in order of code points; the page knows from which first character to which each shard goes. The places of a
name are one row, or several that follow each other, over the end of a file too. Numbers in places are to the base 36.
"""

from collections import defaultdict
from collections.abc import Iterable
from heapq import heappush, heappushpop
from itertools import groupby, islice
from typing import Any

from rayner.site.html_text import json_for_script
from rayner.site.pages import SiteFolder
from rayner.site.store import MAX_CONTEXTS, Occurrence

# Bytes of a shard of names (read while one types) and of a script of places; places in a row, then shorter than 100 kB.
SCRIPT_SIZES = (96_000, 256_000, 4000)
TITLES_PER_SCRIPT = 1000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class _ScriptWriter:
    """Rows written to numbered scripts of about `size` bytes."""

    def __init__(self, folder: SiteFolder, name: str, size: int) -> None:
        self._folder, self._name, self._size = folder, name, size
        self.number = 0  # of the script under way
        self.rows: list[Any] = []
        self.bytes = 0  # of all so far
        self._full_at = size

    def add(self, row: Any) -> bool:  # noqa: ANN401 - any JSON
        """Add a row; whether the script was full with it, and is written."""
        self.rows.append(row)
        self.bytes += len(json_for_script(row).encode()) + 1
        if self.bytes < self._full_at:
            return False
        self.write()
        return True

    def write(self) -> None:
        """Write the script under way, if there is anything in it."""
        if self.rows:
            name = f"{self._name}/{self.number}"
            self._folder.write_script(f"{name}.js", "rayner.putData", name, self.rows)
            self.number, self.rows, self._full_at = self.number + 1, [], self.bytes + self._size


def write_name_shards(
    occurrences: Iterable[Occurrence], folder: SiteFolder, top_per_type: int, sizes: tuple[int, int, int] = SCRIPT_SIZES
) -> dict[str, Any]:
    """Write both kinds of scripts.

    occurrences: as `SiteDatabase.occurrences` gives them. Returns `shards`: the first and the last code point with
    which the names of each shard begin; `names`: how many there are; `bytes`: of all shards, about; and `top`: the most
    frequent names of each type, rows as in a shard, all together by how often they occur.
    """
    names, places = _ScriptWriter(folder, "names", sizes[0]), _ScriptWriter(folder, "places", sizes[1])
    shards: list[list[int]] = []
    top: dict[int, list[tuple[int, int, list[Any]]]] = defaultdict(list)  # heaps; of equals the earlier name is kept
    total = 0
    written = True
    for (name, kind), group in groupby(occurrences, key=lambda place: (place.name, place.type)):
        at = [places.number, len(places.rows)]
        row = [name, kind, *_write_places(group, places, sizes[2]), *at]
        first = ord(name[0])
        if written:
            shards.append([first, first])
        shards[-1][1] = first
        written = names.add(row)
        total += 1
        item = (row[2], -total, row)
        heappush(top[kind], item) if len(top[kind]) < top_per_type else heappushpop(top[kind], item)
    places.write()
    names.write()
    found = sorted((item for heap in top.values() for item in heap), reverse=True)
    return {"shards": shards, "names": total, "bytes": names.bytes, "top": [row for _, _, row in found]}


def _write_places(group: Iterable[Occurrence], places: _ScriptWriter, row: int) -> tuple[int, int, float | None]:
    """Write the places of a name; returns how many, in how many documents, and the mean score, None if unknown."""
    times = documents = scored = 0
    total, last = 0.0, -1
    occurrences = iter(group)
    while chunk := list(islice(occurrences, row)):
        contexts = [[o.before, o.after] for o in chunk[:MAX_CONTEXTS] if o.before is not None] if not times else []
        places.add([encode_places(chunk), contexts])
        times += len(chunk)
        for occurrence in chunk:
            documents += occurrence.document != last
            last = occurrence.document
            if occurrence.score is not None:
                total, scored = total + occurrence.score, scored + 1
    return times, documents, round(total / scored, 3) if scored else None


def encode_places(occurrences: Iterable[Occurrence]) -> str:
    """Places as `document.page:at,at;document.page:at`, numbers to the base 36."""
    groups = groupby(occurrences, key=lambda o: (o.document, o.page))
    return ";".join(
        f"{to_base36(document)}.{to_base36(page)}:{','.join(to_base36(o.start) for o in group)}"
        for (document, page), group in groups
    )


def to_base36(number: int) -> str:
    """A number from 0, to the base 36."""
    digits = ""
    while number >= 36:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits


def write_title_scripts(doc_ids: Iterable[str], folder: SiteFolder) -> None:
    """Write the doc_ids by number, TITLES to a script: titles/N.js calls rayner.putData("titles/N", [doc_id, ...])."""
    titles, number = iter(doc_ids), 0
    while chunk := list(islice(titles, TITLES_PER_SCRIPT)):
        folder.write_script(f"titles/{number}.js", "rayner.putData", f"titles/{number}", chunk)
        number += 1

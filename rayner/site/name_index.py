"""Write the entity index as scripts with data. The index page loads each script when it needs the data.

    names/N.js   rayner.putData("names/N", [[name, type, times, documents, mean score, places file, places row], ...])
    places/N.js  rayner.putData("places/N", [["document.page:start,start;document.page:start", contexts], ...])
    titles/N.js  rayner.putData("titles/N", [doc_id, ...])

Names are sorted by code points. The names in a names script (a shard) begin with characters of one range. The places of
a name are in one row or in several consecutive rows, which may continue in the next file. `contexts` is
[[before, after], ...] for the first places. Numbers in places are in base 36.
"""

from collections import defaultdict
from collections.abc import Iterable
from heapq import heappush, heappushpop
from itertools import groupby, islice
from typing import Any, NamedTuple

from rayner.site.html_text import encode_json_for_script
from rayner.site.pages import SiteFolder
from rayner.site.store import MAX_CONTEXTS, Occurrence

TITLES_PER_SCRIPT = 1000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class ScriptSizes(NamedTuple):
    """Size limits of the scripts.

    names: The bytes of a names script. The page loads it while the user types.
    places: The bytes of a places script.
    places_per_row: The number of places in a row.
    """

    names: int = 96_000
    places: int = 256_000
    places_per_row: int = 4000  # so that a row is shorter than 100 kB


class NameIndex(NamedTuple):
    """A summary of all names scripts.

    first_and_last_chars: For each names script, the code points of the first characters of its first and last name.
    n_names: The number of names.
    n_bytes: The approximate size of all names scripts.
    top_rows: The rows of the most frequent names, the most frequent first.
    """

    first_and_last_chars: list[list[int]]
    n_names: int
    n_bytes: int
    top_rows: list[list[Any]]


class _ScriptWriter:
    """Writes rows to numbered scripts of about `max_bytes` each."""

    def __init__(self, folder: SiteFolder, name: str, max_bytes: int) -> None:
        self._folder, self._name, self._max_bytes = folder, name, max_bytes
        self.number = 0  # number of the current script
        self.rows: list[Any] = []
        self.n_bytes = 0  # size of all scripts so far
        self._full_at = max_bytes

    def add_and_write_if_full(self, row: Any) -> bool:  # noqa: ANN401 - any JSON
        """Add a row. If the script is now full, write it. Return whether it was full."""
        self.rows.append(row)
        self.n_bytes += len(encode_json_for_script(row).encode()) + 1
        if self.n_bytes < self._full_at:
            return False
        self.write_and_start_next()
        return True

    def write_and_start_next(self) -> None:
        """Write the current script if it has rows, and start the next one."""
        if self.rows:
            name = f"{self._name}/{self.number}"
            self._folder.write_script(f"{name}.js", "rayner.putData", name, self.rows)
            self.number, self.rows, self._full_at = self.number + 1, [], self.n_bytes + self._max_bytes


def write_name_and_place_scripts(
    occurrences: Iterable[Occurrence], folder: SiteFolder, top_per_type: int, sizes: ScriptSizes | None = None
) -> NameIndex:
    """Write the names scripts and the places scripts.

    Args:
        occurrences: All occurrences of names, in the order of `SiteDatabase.read_occurrences_by_name`.
        folder: The folder of the site.
        top_per_type: For each type, the maximum number of names in `top_rows` of the result.
        sizes: The size limits of the scripts.

    """
    sizes = sizes or ScriptSizes()
    names, places = _ScriptWriter(folder, "names", sizes.names), _ScriptWriter(folder, "places", sizes.places)
    char_ranges: list[list[int]] = []
    top: dict[int, list[tuple[int, int, list[Any]]]] = defaultdict(list)  # a heap for each type
    n_names = 0
    script_is_new = True
    for (name, type_number), group in groupby(occurrences, key=lambda occurrence: (occurrence.name, occurrence.type)):
        first_place = [places.number, len(places.rows)]
        row = [name, type_number, *_write_places_and_count(group, places, sizes.places_per_row), *first_place]
        first_char = ord(name[0])
        if script_is_new:
            char_ranges.append([first_char, first_char])
        char_ranges[-1][1] = first_char
        script_is_new = names.add_and_write_if_full(row)
        n_names += 1
        item = (row[2], -n_names, row)  # if names are equally frequent, the first is kept
        heap = top[type_number]
        heappush(heap, item) if len(heap) < top_per_type else heappushpop(heap, item)
    places.write_and_start_next()
    names.write_and_start_next()
    top_rows = [row for _, _, row in sorted((item for heap in top.values() for item in heap), reverse=True)]
    return NameIndex(char_ranges, n_names, names.n_bytes, top_rows)


def _write_places_and_count(
    name_occurrences: Iterable[Occurrence], place_writer: _ScriptWriter, places_per_row: int
) -> tuple[int, int, float | None]:
    """Write the places of a name. Return the number of places, the number of documents and the mean score."""
    n_places = n_documents = n_scores = 0
    score_sum, last_document = 0.0, -1
    occurrences = iter(name_occurrences)
    while chunk := list(islice(occurrences, places_per_row)):
        contexts = []
        if not n_places:
            contexts = [[place.before, place.after] for place in chunk[:MAX_CONTEXTS] if place.before is not None]
        place_writer.add_and_write_if_full([encode_places(chunk), contexts])
        n_places += len(chunk)
        for occurrence in chunk:
            n_documents += occurrence.document != last_document
            last_document = occurrence.document
            if occurrence.score is not None:
                score_sum, n_scores = score_sum + occurrence.score, n_scores + 1
    return n_places, n_documents, round(score_sum / n_scores, 3) if n_scores else None


def encode_places(occurrences: Iterable[Occurrence]) -> str:
    """Return places as `document.page:start,start;document.page:start`, with numbers in base 36."""
    groups = groupby(occurrences, key=lambda occurrence: (occurrence.document, occurrence.page))
    return ";".join(
        f"{to_base36(document)}.{to_base36(page)}:{','.join(to_base36(place.start) for place in group)}"
        for (document, page), group in groups
    )


def to_base36(number: int) -> str:
    """Return a number in base 36. The number must not be negative."""
    digits = ""
    while number >= 36:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits


def write_title_scripts(doc_ids: Iterable[str], folder: SiteFolder) -> None:
    """Write the doc_ids, in the order of the document numbers, with TITLES_PER_SCRIPT doc_ids in each script."""
    remaining, number = iter(doc_ids), 0
    while chunk := list(islice(remaining, TITLES_PER_SCRIPT)):
        folder.write_script(f"titles/{number}.js", "rayner.putData", f"titles/{number}", chunk)
        number += 1

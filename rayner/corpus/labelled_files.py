"""Read labelled files without losing or changing a character.

Real files have irregularities (method, section 1). If an irregularity has only one possible meaning, the file is read
and the irregularity is counted in `LabelledFile.faults`. Any other irregularity raises a DataError with a message of
one line: `FILE:LINE: expected ..., found ...`. `rayner.corpus.labels` has the layouts.
"""

import operator
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from itertools import accumulate

from rayner.config.plugins import is_plugin_name, load_plugin
from rayner.config.settings import LAYOUTS
from rayner.corpus.labels.entity_places import check_entity_type
from rayner.corpus.labels.foreign_formats import refuse_binary_formats
from rayner.corpus.labels.inline_markup import read_inline_markup
from rayner.corpus.labels.json_records import read_json_records
from rayner.corpus.labels.label_studio_tasks import read_label_studio_tasks
from rayner.corpus.labels.labelled_texts import LabelledTexts
from rayner.corpus.labels.recognition import recognise_layout
from rayner.corpus.labels.sheets.csv_file import read_csv
from rayner.corpus.labels.sheets.xlsx_file import read_xlsx
from rayner.corpus.labels.tagged_lines import read_char_tag_lines, read_conll_columns
from rayner.corpus.labels.tei import read_tei
from rayner.corpus.text_files import decode_utf8, read_bytes
from rayner.errors import DataError
from rayner.runs.storage import StoragePath
from rayner.text.labelled_text import LabelledFile
from rayner.text.spans import Span, sort_and_check_spans

AUTO = LAYOUTS[0]
# Python's str.splitlines and many editors break lines at these characters. Here they are ordinary characters.
LINE_SEPARATORS = frozenset("\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e")
_TAG_READERS = {"evahan": read_char_tag_lines, "conll": read_conll_columns}
_TEXT_READERS: dict[str, Callable[[str, str], LabelledTexts]] = {
    "csv": read_csv,
    "jsonl": read_json_records,
    "label-studio": read_label_studio_tasks,
    "markup": read_inline_markup,
    "tei": read_tei,
}


def read_labelled_file(
    path: str | StoragePath, *, layout: str = AUTO, types: Collection[str] | None = None
) -> LabelledFile:
    r"""Read the texts and entities of a labelled file in UTF-8, or of a spreadsheet.

    Lines end with `\n` or `\r\n`. Tags may have any spelling that `tags.split_tag` knows.

    Args:
        path: The file.
        layout: One of LAYOUTS, or `module:name` for a user's own reader (see `read_with_custom_reader`). `auto`
            recognises the layout by the content. The modules of `rayner.corpus.labels` describe the others.
        types: The entity types that may occur. None allows all types.

    Raises:
        DataError: The file cannot be read in this layout, or it contains no characters. The message names the file and
            the line.
        ValueError: The layout is unknown.

    """
    if is_plugin_name(layout):
        return read_with_custom_reader(path, layout, types)
    if layout not in LAYOUTS:
        raise ValueError(f"expected a layout of {', '.join(LAYOUTS)}, found {layout!r}")
    data = read_bytes(path)
    if layout == AUTO:
        layout = recognise_layout(str(path), data)
        texts = _read_texts(str(path), data, layout, types)
    else:
        texts = _read_texts_or_suggest_layout(str(path), data, layout, types)
    return _join_texts(str(path), texts, layout, types)


def read_with_custom_reader(path: str | StoragePath, reader: str, types: Collection[str] | None = None) -> LabelledFile:
    """Read a labelled file with a user's own function.

    Args:
        path: The file.
        reader: The function, as `module:name`. It takes the bytes of the file. It returns the text and, for each
            entity, (start, end, type) with offsets in code points. It raises ValueError or LookupError if the file is
            faulty.
        types: The entity types that may occur. None allows all types.

    Raises:
        ConfigError: The function does not exist.
        DataError: The function rejected the file or returned an unexpected value. Or an entity is empty, overlaps
            another entity or exceeds the text. Or the text is empty. Or a type is not in `types`, or the LLM's markup
            cannot represent it.

    """
    read = load_plugin("layout", reader, Callable, "a function of a file's bytes")
    data = read_bytes(path)
    try:
        answer = read(data)
    except (ValueError, LookupError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{reader} met {type(error).__name__}: {error}"
        raise DataError(f"{path}: {' '.join(reason.split())}") from error
    try:
        text, entities = answer
        if not isinstance(text, str):
            raise TypeError(f"a text that is {type(text).__name__}")
        text.encode()
        spans = sort_and_check_spans(
            (Span(operator.index(start), operator.index(end), str(name)) for start, end, name in entities), len(text)
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: expected of {reader} the text and (start, end, type)s, found: {error}") from error
    if not text:
        raise DataError(f"{path}: expected at least one labelled character, found none")
    for entity_type in sorted({span.type for span in spans}):
        check_entity_type(str(path), entity_type, types)
    faults = _count_odd_characters_by_group(text)
    return LabelledFile(str(path), text, spans, (), faults, layout=reader, read_as=f"what {reader} reads")


def recognise_file_layout(path: str | StoragePath) -> str:
    """Return the layout that `auto` means for a file. Raises DataError if it has none that is read."""
    return recognise_layout(str(path), read_bytes(path))


def describe_labelled_file(labelled: LabelledFile) -> str:
    """Return what a file was read as and how much it has, in one line."""
    n_texts, n_types = len(labelled.text_bounds()), len({span.type for span in labelled.spans})
    return (
        f"{labelled.path} was read as {labelled.read_as}; {_count(n_texts, 'text')}, "
        f"{_count(len(labelled.spans), 'entity', 'entities')} of {_count(n_types, 'type')}"
    )


def _count(n: int, singular: str, plural: str = "") -> str:
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def _read_texts(path: str, data: bytes, layout: str, types: Collection[str] | None) -> LabelledTexts:
    if layout == "xlsx":
        return read_xlsx(path, data)
    if layout in _TAG_READERS:
        return _TAG_READERS[layout](path, decode_utf8(path, data), types)
    return _TEXT_READERS[layout](path, decode_utf8(path, data))


def _read_texts_or_suggest_layout(path: str, data: bytes, layout: str, types: Collection[str] | None) -> LabelledTexts:
    """Read a file in a layout that the user named. If it has another layout, the error suggests that one."""
    try:
        return _read_texts(path, data, layout, types)
    except DataError as error:
        refuse_binary_formats(path, data)
        try:
            other = recognise_layout(path, data)
            _read_texts(path, data, other, types)
        except DataError:
            raise error from None
        if other == layout:
            raise
        raise DataError(f"{error}; use layout={other} (rayner eval: --layout {other})") from None


def _join_texts(path: str, labelled: LabelledTexts, layout: str, types: Collection[str] | None) -> LabelledFile:
    """Join the texts of a file, and count the irregularities of all of them."""
    texts = [text for text in labelled.texts if text.text]
    faults = {**labelled.faults, "empty_texts": len(labelled.texts) - len(texts)}
    if not texts:
        raise DataError(f"{path}: expected at least one labelled character, found none")
    spans: list[Span] = []
    starts = [0, *accumulate(len(text.text) for text in texts)]
    for text, start in zip(texts, starts, strict=False):
        _check_encodable(text.location, text.text)
        spans += [span.shift(start) for span in text.spans]
        for entity_type in sorted({span.type for span in text.spans}):
            check_entity_type(text.location, entity_type, types)
    joined = "".join(text.text for text in texts)
    return LabelledFile(
        path,
        joined,
        tuple(spans),
        labelled.blank_line_offsets,
        {**faults, **_count_odd_characters_by_group(joined)},
        tuple(starts[1:-1]),
        layout,
        labelled.read_as,
    )


def _check_encodable(location: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        char = text[error.start]
        raise DataError(f"{location}: expected Unicode text, found half a surrogate pair: {char!r}") from None


def _count_odd_characters_by_group(text: str) -> dict[str, int]:
    """Count the characters that other programs often lose or miscount, by group."""
    char_counts = Counter(text)
    return {
        "private_use": sum(n for char, n in char_counts.items() if unicodedata.category(char) == "Co"),
        "beyond_bmp": sum(n for char, n in char_counts.items() if ord(char) > 0xFFFF),
        "line_separators": sum(n for char, n in char_counts.items() if char in LINE_SEPARATORS),
    }

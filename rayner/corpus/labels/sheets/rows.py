"""Read the rows of a spreadsheet (CSV or XLSX), in which the header names the columns.

There are two shapes: a row has a text and a cell with all entities of the text, or a row has a text and one entity.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rayner.corpus.labels.entity_cells import read_entity_cell
from rayner.corpus.labels.entity_places import EntityMention, place_entities, place_entities_of_copies
from rayner.corpus.labels.labelled_texts import LabelledText, LabelledTexts
from rayner.errors import DataError
from rayner.text.messages import shorten_repr

# The names of columns, without spaces, `_` and `-`, in small letters.
COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "sentence", "content", "原文", "文本", "句子", "正文", "內容", "内容", "文字"),
    "entities": ("entities", "annotations", "spans", "標註", "标注", "標記", "标记", "實體列表", "实体列表"),
    "entity": ("entity", "mention", "string", "entitytext", "實體", "实体", "命名實體", "命名实体"),
    "type": (
        *("type", "label", "labels", "category", "tag", "entitytype", "類型", "类型", "類別", "类别"),
        *("標籤", "标签", "實體類型", "实体类型"),
    ),
    "start": (
        *("start", "begin", "startoffset", "startchar", "起始", "起點", "起点", "開始", "开始"),
        *("起始位置", "開始位置", "开始位置"),
    ),
    "end": (
        *("end", "stop", "endoffset", "endchar", "結束", "结束", "終止", "终止", "終點", "终点"),
        *("結束位置", "结束位置"),
    ),
    "document": ("docid", "textid", "sentenceid", "sentid"),
}  # fmt: skip
HEADER_HELP = (
    "a header that names the columns: text and entities, or text, start, end and label, or text, entity and label "
    "(原文, 實體, 類型 ...)"
)
_OWN_EXPORT = {"docid", "start", "end", "type", "text", "left", "right"}  # `rayner.corpus.exports.csv_rows`
_IGNORED_IN_NAMES = re.compile(r"[\s_-]")
_OFFSET = re.compile(r"(\d{1,9})(?:\.0+)?", re.ASCII)  # a spreadsheet program may add the decimal zero


@dataclass(frozen=True)
class SheetRow:
    """The cells of a row. location: where it is, for messages, such as `labels.csv:12`."""

    location: str
    cells: Sequence[str]


@dataclass(frozen=True)
class ColumnPositions:
    """The positions of the columns, by role (see COLUMN_NAMES). `entities`: whether a cell has all entities of a text.

    An entity a row needs `type`, and `entity` or `start`.
    """

    positions: Mapping[str, int]
    has_entity_cell: bool

    def get_cell(self, row: SheetRow, role: str) -> str:
        """Return the cell of a column, "" if there is no such column."""
        position = self.positions.get(role)
        return "" if position is None else row.cells[position]


def find_columns(header: SheetRow) -> ColumnPositions | None:
    """Return the columns that a header names; None if it names no text or no entities.

    Raises DataError if two columns have the same role, or if the file has entities without their texts.
    """
    names = [_IGNORED_IN_NAMES.sub("", name).casefold() for name in header.cells]
    positions: dict[str, int] = {}
    for role, role_names in COLUMN_NAMES.items():
        columns = [i for i, name in enumerate(names) if name in role_names]
        if len(columns) > 1:
            found = " and ".join(shorten_repr(header.cells[i]) for i in columns)
            raise DataError(f"{header.location}: expected one column for the {role}, found {found}; rename one of them")
        if columns:
            positions[role] = columns[0]
    if set(names) >= _OWN_EXPORT:
        raise DataError(
            f"{header.location}: expected texts with their entities, found rayner's CSV export, which has entities "
            "without their texts; export with `--to jsonl`"
        )
    return _choose_shape(positions)


def _choose_shape(positions: dict[str, int]) -> ColumnPositions | None:
    if "text" not in positions:
        return None
    if "type" in positions and ("entity" in positions or {"start", "end"} <= positions.keys()):
        return ColumnPositions({role: i for role, i in positions.items() if role != "entities"}, has_entity_cell=False)
    cell_columns = [positions[role] for role in ("entities", "entity", "type") if role in positions]
    if not cell_columns or {"start", "end"} & positions.keys():
        return None
    return ColumnPositions({"text": positions["text"], "entities": cell_columns[0]}, has_entity_cell=True)


def read_rows(columns: ColumnPositions, header: SheetRow, rows: Iterable[SheetRow], read_as: str) -> LabelledTexts:
    """Read the rows that follow the header. Rows without content are skipped.

    read_as: what the file is, in words; the shape is added.
    """
    rows = [_check_width(row, header) for row in rows if any(cell.strip() for cell in row.cells)]
    if columns.has_entity_cell:
        texts, n_repeated = _read_texts_with_entities(columns, rows)
        read_as += ", a text with its entities a row"
    else:
        texts, n_repeated = _read_entity_rows(columns, rows)
        read_as += ", an entity a row"
    return LabelledTexts(texts, read_as, {"repeated_entities": n_repeated})


def _check_width(row: SheetRow, header: SheetRow) -> SheetRow:
    if len(row.cells) != len(header.cells):
        raise DataError(
            f"{row.location}: expected {len(header.cells)} columns, as in the header, found {len(row.cells)}; a cell "
            "with the separator or a line break needs double quotes"
        )
    return row


def _read_texts_with_entities(columns: ColumnPositions, rows: Iterable[SheetRow]) -> tuple[list[LabelledText], int]:
    """Return the texts, and how many entities were given again."""
    texts, n_given = [], 0
    for row in rows:
        text = columns.get_cell(row, "text")
        mentions = read_entity_cell(columns.get_cell(row, "entities"), row.location)
        if not text:
            raise DataError(f"{row.location}: expected a text, found an empty cell")
        texts.append(LabelledText(text, place_entities(text, mentions), row.location))
        n_given += len(mentions)
    return texts, n_given - sum(len(text.spans) for text in texts)


@dataclass
class _EntityRows:
    """The rows of one text. copies: the entities at each place where the text stands in consecutive rows."""

    text: str
    location: str
    copies: list[list[EntityMention]] = field(default_factory=list)


def _read_entity_rows(columns: ColumnPositions, rows: Iterable[SheetRow]) -> tuple[list[LabelledText], int]:
    """Return the texts, and how many entities were given again.

    An empty cell of the text means the text of the row above. The copies of a text are one text with all entities.
    """
    groups: dict[tuple[str, str], _EntityRows] = {}
    key = ("", "")
    for row in rows:
        text = columns.get_cell(row, "text")
        key_above = key
        if text:
            key = (columns.get_cell(row, "document"), text)
        elif not key[1]:
            raise DataError(f"{row.location}: expected a text, found an empty cell")
        group = groups.setdefault(key, _EntityRows(key[1], row.location))
        if key != key_above:
            group.copies.append([])
        mention = _read_mention(columns, row)
        if mention is not None:
            group.copies[-1].append(mention)
    texts = [LabelledText(g.text, place_entities_of_copies(g.text, g.copies), g.location) for g in groups.values()]
    n_given = sum(len(mentions) for group in groups.values() for mentions in group.copies)
    return texts, n_given - sum(len(text.spans) for text in texts)


def _read_mention(columns: ColumnPositions, row: SheetRow) -> EntityMention | None:
    """Return the entity of a row; None if the row has a text without an entity."""
    start, end = (_read_offset(columns, row, role) for role in ("start", "end"))
    string = columns.get_cell(row, "entity") or None
    entity_type = columns.get_cell(row, "type").strip()
    if start is None and end is None and string is None and not entity_type:
        return None
    if not entity_type:
        raise DataError(f"{row.location}: expected the type of an entity, found an empty cell")
    if string is None and (start is None or end is None):
        raise DataError(f"{row.location}: expected the entity's string, or its start and end, found neither")
    if start is None and end is not None:
        raise DataError(f"{row.location}: expected the start of an entity beside its end, found an empty cell")
    return EntityMention(row.location, entity_type, start, end, string)


def _read_offset(columns: ColumnPositions, row: SheetRow, role: str) -> int | None:
    cell = columns.get_cell(row, role).strip()
    if not cell:
        return None
    match = _OFFSET.fullmatch(cell)
    if match is None:
        raise DataError(f"{row.location}: expected a whole number for the {role}, found {shorten_repr(cell)}")
    return int(match[1])

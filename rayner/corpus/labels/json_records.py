"""Read JSON records: a text and its entities, as rayner, doccano, spaCy and GLiNER write them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rayner.corpus.labels.entity_cells import read_entity_list
from rayner.corpus.labels.entity_places import EntityMention, place_entities
from rayner.corpus.labels.json_values import parse_json_text
from rayner.corpus.labels.labelled_texts import BOM, LabelledText, LabelledTexts
from rayner.errors import DataError
from rayner.text.messages import shorten_repr

_ENTITY_KEYS = ("entities", "label", "labels", "ents", "spans")
_NO_ANSWERS = ("reject", "ignore")  # of Prodigy: the labels of the record are wrong, or were not judged
_TOKENS_KEY, _TOKEN_ENTITIES_KEY = "tokenized_text", "ner"
_STYLES = "an object with text and entities (or label, labels, ents, spans), or with tokenized_text and ner"


def read_json_records(path: str, content: str) -> LabelledTexts:
    """Read a record on each line (JSON lines), or a list of records.

    A record is one of these:
    - an object with `text` and a list of entities (`entity_cells.read_entity_list`);
    - a list `[text, {"entities": [[start, end, type], ...]}]`, as spaCy's older training data;
    - an object with `tokenized_text` and `ner`, as GLiNER's training data. The offsets count tokens, ends included. The
      tokens are joined without spaces.
    Records that were rejected or ignored in Prodigy are left out.

    Raises:
        DataError: The file is not JSON, or a record is none of these. The message names the line or the record.

    """
    bom = content.startswith(BOM)
    texts, styles, n_unlabelled, n_repeated = [], dict[str, None](), 0, 0
    for location, record in iter_records(path, content[bom:]):
        if isinstance(record, dict) and record.get("answer") in _NO_ANSWERS:
            n_unlabelled += 1
            continue
        text, mentions, style = _read_record(record, location)
        styles[style] = None
        texts.append(LabelledText(text, place_entities(text, mentions), location))
        n_repeated += len(mentions) - len(texts[-1].spans)
    faults = {"unlabelled_texts": n_unlabelled, "repeated_entities": n_repeated, "bom": int(bom)}
    return LabelledTexts(texts, f"JSON records ({', '.join(styles) or 'none'})", faults)


def iter_records(path: str, content: str) -> Iterator[tuple[str, Any]]:
    """Yield the records of a file, each with its location for messages."""
    lines = [(number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip()]
    if not lines:
        return
    if len(lines) == 1 or not _is_json(lines[0][1]):
        value = parse_json_text(content, path)
        if isinstance(value, list) and not (value and isinstance(value[0], str)):
            yield from ((f"{path}: record {i}", record) for i, record in enumerate(value, 1))
        else:
            yield f"{path}:{lines[0][0]}", value
        return
    for number, line in lines:
        yield f"{path}:{number}", parse_json_text(line, f"{path}:{number}")


def _is_json(line: str) -> bool:
    try:
        parse_json_text(line, "")
    except DataError:
        return False
    return True


def _read_record(record: Any, location: str) -> tuple[str, list[EntityMention], str]:  # noqa: ANN401 - any JSON value
    """Return the text, the entities and the names of the keys of a record."""
    if isinstance(record, list) and len(record) == 2 and isinstance(record[1], dict):
        record, style = {**record[1], "text": record[0]}, "[text, entities]"
    else:
        style = ""
    if isinstance(record, dict) and _TOKENS_KEY in record:
        return _read_tokens(record, location)
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise DataError(f"{location}: expected {_STYLES}, found {shorten_repr(record)}")
    key = next((key for key in _ENTITY_KEYS if isinstance(record.get(key), list)), None)
    if key is None:
        raise DataError(f"{location}: expected entities in a list named {', '.join(_ENTITY_KEYS)}, found none")
    return record["text"], read_entity_list(record[key], location), style or f"text and {key}"


def _read_tokens(record: Mapping[str, Any], location: str) -> tuple[str, list[EntityMention], str]:
    tokens, entities = record[_TOKENS_KEY], record.get(_TOKEN_ENTITIES_KEY)
    if not _is_list_of(tokens, str) or not isinstance(entities, list):
        raise DataError(
            f"{location}: expected {_TOKENS_KEY}, a list of tokens, and {_TOKEN_ENTITIES_KEY}, a list of "
            f"[first, last, type], found {shorten_repr(record)}"
        )
    offsets = [0]
    for token in tokens:
        offsets.append(offsets[-1] + len(token))
    mentions = [_read_token_entity(entity, offsets, location) for entity in entities]
    return "".join(tokens), mentions, f"{_TOKENS_KEY} and {_TOKEN_ENTITIES_KEY}"


def _read_token_entity(entity: Any, offsets: Sequence[int], location: str) -> EntityMention:  # noqa: ANN401 - any JSON value
    n_tokens = len(offsets) - 1
    if not (isinstance(entity, list) and [*map(type, entity)] == [int, int, str]):
        raise DataError(f"{location}: expected an entity as [first, last, type], found {shorten_repr(entity)}")
    first, last, entity_type = entity
    if not 0 <= first <= last < n_tokens:
        raise DataError(
            f"{location}: expected the first and the last of {n_tokens} tokens, counted from 0, found "
            f"{shorten_repr(entity)}"
        )
    return EntityMention(location, entity_type, offsets[first], offsets[last + 1])


def _is_list_of(value: Any, element_type: type) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(value, list) and all(isinstance(element, element_type) for element in value)

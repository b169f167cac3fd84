"""Read exports back: text and spans of each document, where possible by parsers that others wrote."""

import csv
import io
import json
import re
import tempfile
from contextlib import contextmanager
from functools import cache
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import iobes
from lxml import etree
from pybrat.parser import BratParser
from web_anno_tsv import open_web_anno_tsv

from rayner.corpus.exports import EXPORT_FORMATS
from rayner.runs.output_folder import MARKER_FILE
from rayner.text.markup import parse_markup
from rayner.text.spans import Span

TEI = "{http://www.tei-c.org/ns/1.0}"


def types_by_name(format_name):
    """The types by what a format calls them."""
    return {name: entity_type for entity_type, name in EXPORT_FORMATS[format_name].type_names.items()}


_TEI_TYPES = types_by_name("tei")


def read_files(folder):
    """The bytes of each file by its path in the folder, but for the marker."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name != MARKER_FILE)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def read_files_at_url(folder):
    """The bytes of each file by its path in a folder at a URL, but for the marker."""
    names = (path.removeprefix(folder.path).lstrip("/") for path in folder.fs.find(folder.path))
    return {name: folder.fs.cat_file(f"{folder.path}/{name}") for name in names if name != MARKER_FILE}


@contextmanager
def files_on_disk(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield folder


def select_by_suffix(files, suffix):
    """The files whose names end so, by doc_id."""
    return {name.removesuffix(suffix): data for name, data in files.items() if name.endswith(suffix)}


@cache  # it takes seconds to compile
def load_tei_schema():
    """TEI's own, of all elements (P5 4.3.0)."""
    return etree.RelaxNG(etree.fromstring(resources.files("schemas").joinpath("tei_all.rng").read_bytes()))


def read_tei(files):
    return {doc_id: parse_tei(etree.fromstring(data)) for doc_id, data in select_by_suffix(files, ".xml").items()}


def parse_tei(root):
    codes = {
        char.get("{http://www.w3.org/XML/1998/namespace}id"): chr(int(char.findtext(f"{TEI}mapping")[2:], 16))
        for char in root.iter(f"{TEI}char")
    }
    ab = root.find(f".//{TEI}ab")
    text, spans = "", []

    def walk(element):
        nonlocal text
        name, start = element.tag.removeprefix(TEI), len(text)
        text += element.text or ""
        if name == "g":
            char = codes[element.get("ref")[1:]]
            assert element.text in (None, char)
            text = text[:start] + char
        for child in element:
            walk(child)
            text += child.tail or ""
        if name not in ("ab", "g", "lb"):
            entity_type = element.get("type")
            known = f"{name} type={entity_type}" if entity_type else name
            spans.append(Span(start, len(text), entity_type if name == "rs" else _TEI_TYPES[known]))

    walk(ab)
    return text, spans


def read_docusky(files):
    types = types_by_name("docusky")
    out = {}
    for data in select_by_suffix(files, ".xml").values():
        root = etree.fromstring(data)
        declared = {tag.get("name") for tag in root.iterfind("corpus/feature_analysis/tag")}
        used = set()
        for document in root.iterfind("documents/document"):
            assert document.findtext("corpus") == "rayner"
            text, spans = "", []
            for paragraph in document.iterfind("doc_content/Paragraph"):
                text, found = parse_inline(paragraph, text, lambda e: e.get("RefId") if e.tag == "Udef_Char" else None)
                spans += [Span(start, end, types.get(e.tag) or e.tag.removeprefix("Udef_")) for e, start, end in found]
                used |= {e.tag for e, *_ in found if e.tag not in types}
            assert document.findtext("doc_content", "").strip() == ""
            out[document.get("filename")] = text, spans
        assert used == declared
    return out


def read_markus(files):
    """As XML, which is how DocuSky's converter reads it."""
    return {doc_id: parse_markus(etree.fromstring(data)) for doc_id, data in select_by_suffix(files, ".html").items()}


def read_markus_as_html(files):
    """As Python's reader of HTML has it."""
    out = {}
    for doc_id, data in select_by_suffix(files, ".html").items():
        tree = etree.TreeBuilder()
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attributes, tree=tree: tree.start(tag, dict(attributes))
        parser.handle_endtag, parser.handle_data = tree.end, tree.data
        parser.feed(data.decode())
        parser.close()
        out[doc_id] = parse_markus(tree.close())
    return out


def parse_markus(div):
    types = types_by_name("markus")
    (pre,) = div
    text, spans, used = "", [], set()
    for number, passage in enumerate(pre):
        assert (passage.get("type"), passage.get("id")) == ("passage", f"passage{number}")
        text, found = parse_inline(passage, text, lambda e: e.get("odd_id") if e.get("type") == "odd" else None)
        tags = [(e.get("type"), start, end) for e, start, end in found if e.get("type", "comment") != "comment"]
        used |= {name for name, *_ in tags}
        spans += [Span(start, end, types.get(name, name)) for name, start, end in tags if name != "commentIcon"]
    assert used - {"commentIcon"} == set(json.loads(div.get("tag"))) - {"odd"}
    return text, spans


def parse_inline(element, text, odd):
    """The text with the element's added, and where those below it lie. odd: the code point that one stands for."""
    found = []
    text += element.text or ""
    for child in element:
        start, char = len(text), odd(child)
        if char:
            assert len(child) == 0
            assert child.text is None
            text += chr(int(char.removeprefix("U+"), 16))
        else:
            text, below = parse_inline(child, text, odd)
            found += [(child, start, len(text)), *below]
        text += child.tail or ""
    return text, found


def read_jsonl(files):
    out = {}
    for data in select_by_suffix(files, ".jsonl").values():
        for line in data.decode().splitlines():  # by every rule that Python knows
            row = json.loads(line)
            out[row["doc_id"]] = row["text"], [Span(e["start"], e["end"], e["type"]) for e in row["entities"]]
    return out


def read_label_studio(files):
    out = {}
    for data in select_by_suffix(files, ".json").values():
        for task in json.loads(data):
            values = [region["value"] for region in task["predictions"][0]["result"]]
            text = task["data"]["text"]
            assert all(text[v["start"] : v["end"]] == v["text"] for v in values)
            out[task["data"]["doc_id"]] = text, [Span(v["start"], v["end"], v["labels"][0]) for v in values]
    return out


def read_csv(files):
    """Rows of the CSV files, as dicts; there is no text in them."""
    rows = []
    for data in select_by_suffix(files, ".csv").values():
        rows += csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    return rows


def read_conll(files):
    return {doc_id: parse_conll(data.decode()) for doc_id, data in select_by_suffix(files, ".conll").items()}


def parse_conll(content):
    lines = content.split("\n")[:-1]
    rows = [line.split() if line else ["\\u000a", "O"] for line in lines]
    text = "".join(re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), token) for token, _ in rows)
    tags = [tag for _, tag in rows]
    ends = any(tag[:2] in ("E-", "S-") for tag in tags)
    found, errors = (iobes.parse_spans_iobes_with_errors if ends else iobes.parse_spans_bio_with_errors)(tags)
    assert not errors
    return text, [Span(span.start, span.end, span.type) for span in found]


def read_markup(files):
    out = {}
    for doc_id, data in select_by_suffix(files, ".txt").items():
        parsed = parse_markup(data.decode())
        out[doc_id] = parsed.text, list(parsed.spans)
    return out


def read_markup_as_xml(files):
    """For texts without what XML cannot hold."""
    out = {}
    for doc_id, data in select_by_suffix(files, ".txt").items():
        root = etree.fromstring(b"<r>" + data.replace(b"\r", b"&#13;") + b"</r>")
        text, spans = root.text or "", []
        for child in root:
            spans.append(Span(len(text), len(text) + len(child.text), child.tag))
            text += child.text + (child.tail or "")
        out[doc_id] = text, spans
    return out


def read_brat(files):
    """Texts as they lie; fragments by pybrat; the true span where a note has one."""
    texts, notes = select_by_suffix(files, ".txt"), select_by_suffix(files, ".ann")
    out = {}
    with files_on_disk({name: data for name, data in files.items() if name.endswith((".txt", ".ann"))}) as folder:
        examples = BratParser().parse(folder)
    for example in examples:
        said = re.findall(r"^#\d+\tAnnotatorNotes (T\d+)\t.*?span=(\d+)-(\d+)$", notes[example.id].decode(), re.M)
        true = {number: (int(start), int(end)) for number, start, end in said}
        text, spans = texts[example.id].decode(), []
        for entity in example.entities:
            fragments = [(span.start, span.end) for span in entity.spans]
            assert entity.mention == " ".join(text[a:b] for a, b in fragments).rstrip()
            start, end = true.get(entity.id, (fragments[0][0], fragments[-1][1]))
            spans.append(Span(start, end, entity.type))
        out[example.id] = text, spans
    return out


def read_webanno(files):
    return {doc_id: parse_webanno(data.decode()) for doc_id, data in select_by_suffix(files, ".tsv").items()}


_UNESCAPED = {"t": "\t", "n": "\n", "f": "\f", "r": "\r", "b": "\b", "\\": "\\"}


def parse_webanno(content):
    """By the rules of INCEpTION's own reader: text from `#Text=`, placed by the offsets of the first token after it."""
    head, _, body = content.partition("\n\n")
    assert head.split("\n")[0] == "#FORMAT=WebAnno TSV 3.3"
    assert body.startswith("\n#Text=") or not body
    text, spans, under_way = [], [], {}  # UTF-16 units
    lines = re.split(r"\r\n|\r|\n", body)[1:-1]  # as Java reads lines
    assert lines == [] or lines[-1]
    pending = []
    for line in lines:
        if line.startswith("#Text="):
            pending.append(re.sub(r"\\(.)", lambda m: _UNESCAPED.get(m[1], m[1]), line[6:], flags=re.S))
        elif line:
            _, place, _, identifier, value, _ = line.split("\t")
            start, end = map(int, place.split("-"))
            if pending:
                if len(text) > start:
                    assert len(text) == start + 1
                    assert text.pop() == "\n\0"
                assert len(text) == start
                raw = "".join(f"{part}\n" for part in pending).encode("utf-16-le").decode("latin-1")
                text += [raw[i : i + 2] for i in range(0, len(raw), 2)]
                pending = []
            if value != "_":
                name, number = re.fullmatch(r"(.*?)(?<!\\)(?:\[(\d+)\])?", value, re.S).groups()
                assert identifier == (f"*[{number}]" if number else "*")
                if number in under_way:
                    spans[under_way[number]][1] = end
                else:
                    if number:
                        under_way[number] = len(spans)
                    spans.append([start, end, re.sub(r"\\(->|.)", r"\1", name)])
    whole = "".join(text).encode("latin-1").decode("utf-16-le")
    assert whole == "" or whole[-1] == "\n"
    place, unit = {}, 0
    for at, char in enumerate(whole):
        place[unit] = at
        unit += 1 + (char > "\uffff")
    return whole[:-1], [Span(place[start], place[end], entity_type) for start, end, entity_type in spans]


def read_webanno_sentences(data):
    """Text and spans by web-anno-tsv, which knows no escapes and no entity that goes on in the next sentence."""
    text, spans = "", []
    with files_on_disk({"d.tsv": data}) as folder, open_web_anno_tsv(f"{folder}/d.tsv") as sentences:
        for sentence in sentences:
            spans += [Span(len(text) + a.start, len(text) + a.stop, a.label) for a in sentence.annotations]
            text += sentence.text
    return text, sorted(spans)


def read_hf_dataset(folder, cache):
    """By `datasets`."""
    from datasets import load_dataset

    rows = load_dataset(str(folder), split="train", cache_dir=str(cache))
    return {
        row["doc_id"]: (row["text"], [Span(e["start"], e["end"], e["type"]) for e in row["entities"]]) for row in rows
    }

"""The pure parts of the site: cutting into pages, markup, votes, the index's scripts, messages, drawings."""

import json
import re
import unicodedata
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.rendering.bilingual import LANGUAGES
from rayner.rendering.tagged_text import describe_rare_char
from rayner.rendering.texts_shared import SHARED_TEXTS
from rayner.rendering.texts_site import SITE_TEXTS
from rayner.site.drawing import DECIDERS, build_type_stylesheet, draw_stacked_histogram
from rayner.site.html_text import LlmCoverage, TypeNumbers, encode_json_for_script, pack_votes, tagged_text_to_html
from rayner.site.name_index import ScriptSizes, to_base36, write_name_and_place_scripts, write_title_scripts
from rayner.site.page_splitting import find_page_starts
from rayner.site.pages import SiteFolder, list_linked_pages_with_gaps
from rayner.site.store import Occurrence
from tests.site_pages.site_units import voted
from tests.strategies import tagged_texts, texts

SITE = Path(__file__).parents[2] / "rayner" / "site"


# ---- pages


@given(tagged_texts(max_size=120), st.integers(1, 12))
def test_pages_lose_no_character_and_cut_no_entity(tagged, limit):
    text, spans = tagged
    places = [(span.start, span.end) for span in spans]
    starts = find_page_starts(text, places, limit)
    assert starts[0] == 0
    assert all(a < b for a, b in pairwise([*starts, len(text)])) or not text

    def is_forbidden(offset):
        in_entity = any(start < offset < end for start, end in places)
        return in_entity or text[offset - 1 : offset + 1] == "\r\n" or unicodedata.category(text[offset])[0] == "M"

    assert not any(map(is_forbidden, starts[1:]))
    for start, end in pairwise([*starts, len(text)]):
        assert end - start <= limit or all(map(is_forbidden, range(start + 1, start + limit + 1)))


def test_pages_are_alike_and_end_with_lines_or_sentences():
    lines = "".join("王使人之秦。" * 5 + "\n" for _ in range(100))
    starts = find_page_starts(lines, [], 1000)
    lengths = [b - a for a, b in pairwise([*starts, len(lines)])]
    assert len(lengths) == 4
    assert min(lengths) > 600
    assert all(lines[start - 1] == "\n" for start in starts[1:])
    sentences = lines.replace("\n", "")
    assert all(sentences[start - 1] == "。" for start in find_page_starts(sentences, [], 1000)[1:])


# ---- markup


class Parsed(HTMLParser):
    """The text of a page, and [tag, attributes, text] of each element."""

    def __init__(self, html):
        super().__init__()
        self.text, self.elements, self._open = "", [], []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self._open.append(len(self.elements))
        self.elements.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data):
        self.text += data
        for i in self._open:
            self.elements[i][2] += data


@given(tagged_texts(max_size=60))
def test_marked_text_reads_back_as_the_text_and_its_entities(tagged):
    text, spans = tagged
    rows = [voted("d", span.start, text[span.start : span.end], span.type) for span in spans]
    types = TypeNumbers()
    parsed = Parsed(tagged_text_to_html(text, 0, len(text), rows, types))
    shown = text.replace("\0", "\ufffd")
    assert parsed.text == shown
    marks = [(attrs["class"], text) for tag, attrs, text in parsed.elements if tag == "b"]
    assert [(types.names[int(css_class[1:])], name) for css_class, name in marks] == [
        (span.type, shown[span.start : span.end]) for span in spans
    ]
    rare_chars = [(attrs["title"], char) for tag, attrs, char in parsed.elements if tag == "i"]
    assert rare_chars == [
        (str(describe_rare_char(char) or "U+0000"), "\ufffd" if char == "\0" else char)
        for char in text
        if describe_rare_char(char) or char == "\0"
    ]


votes = st.fixed_dictionaries(
    {
        "score": st.none() | st.floats(0, 1, width=32),
        "slm_entropy": st.none() | st.floats(0, 4, width=32),
        "slm_type": st.sampled_from([None, "NR", "NS"]),
        "llm_type": st.sampled_from([None, "NR", "NS"]),
        "llm_category_prob": st.none() | st.floats(0, 1, width=32),
        "llm_boundary_prob": st.none() | st.floats(0, 1, width=32),
        "decided_by": st.sampled_from(["agree", "slm", "llm", "person"]),
    }
)


@given(st.lists(st.tuples(votes, st.booleans()), max_size=6))
def test_packed_votes_hold_the_columns_of_each_entity(drawn):
    rows = [voted("d", i, "王") | vote for i, (vote, _) in enumerate(drawn)]
    segments = [{"start": i, "end": i + 1, "gated": not asked, "error": None} for i, (_, asked) in enumerate(drawn)]
    types = TypeNumbers()
    types.get_or_add_number("NR")
    packed = pack_votes(rows, LlmCoverage(segments), types)
    for (vote, asked), packed_vote in zip(drawn, packed.split(" ") if rows else [], strict=True):
        fields = packed_vote.split(",")

        def number(value):
            return "" if value is None else str(int(f"{value:.3f}".replace(".", "")))  # as describe_entity() rounds

        def type_number(value):
            return "" if value is None else str(types.get_or_add_number(value))

        assert fields[:2] == [number(vote["score"]), number(vote["slm_entropy"])]
        assert (len(fields) == 6) == (asked or vote["llm_type"] is not None)
        assert (fields[2] if len(fields) > 2 else "0") == type_number(vote["slm_type"])
        if len(fields) == 6:
            llm_probs = (number(vote["llm_category_prob"]), number(vote["llm_boundary_prob"]))
            assert fields[3:] == [type_number(vote["llm_type"]), *llm_probs]


def test_the_llm_was_asked_but_in_segments_gated_or_set_aside():
    rows = [
        {"start": 5, "end": 9, "gated": True, "error": None},
        {"start": 9, "end": 12, "gated": False, "error": None},
        {"start": 0, "end": 3, "gated": False, "error": "why"},
    ]
    assert [offset for offset in range(15) if LlmCoverage(rows).covers(offset)] == [3, 4, 9, 10, 11, 12, 13, 14]
    assert LlmCoverage([]).covers(0)


@given(st.recursive(texts() | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_json_for_scripts_reads_back_and_ends_no_script(value):
    encoded = encode_json_for_script(value)
    assert json.loads(encoded) == value
    assert not re.search("[<\u2028\u2029]", encoded)


# ---- the scripts of the index


def read_call(path):
    """Return the arguments of the one call in a script."""
    call, _, rest = path.read_text(encoding="utf-8").partition("(")
    assert call == "rayner.putData"
    return json.loads(f"[{rest.rstrip().removesuffix(')')}]")


def read_scripts(root, name):
    files = sorted((root / name).glob("*.js"), key=lambda path: int(path.stem))
    assert [path.stem for path in files] == [str(i) for i in range(len(files))]
    for path in files:
        assert read_call(path)[0] == f"{name}/{path.stem}"
    return [read_call(path)[1] for path in files]


def read_places(row, places):
    """Return the places (document, page, offset) and the contexts of the name in a row of a names script."""
    decoded, contexts, file, line = [], [], row[5], row[6]
    while len(decoded) < row[2]:
        if line == len(places[file]):
            file, line = file + 1, 0
        groups, context = places[file][line]
        contexts += context
        for group in groups.split(";"):
            document_and_page, _, offsets = group.partition(":")
            document, page = (int(part, 36) for part in document_and_page.split("."))
            decoded += [(document, page, int(offset, 36)) for offset in offsets.split(",")]
        line += 1
    return decoded, contexts


occurrences = st.lists(
    st.tuples(texts(4).filter(bool), st.integers(0, 2), st.integers(0, 50), st.integers(0, 3), st.integers(0, 99)),
    max_size=40,
    unique=True,
)


@given(occurrences, st.tuples(st.integers(1, 200), st.integers(1, 200), st.integers(1, 3)))
def test_shards_hold_every_name_once_and_all_its_places(tmp_path_factory, drawn, sizes):
    drawn = sorted(drawn)
    folder = SiteFolder(tmp_path_factory.mktemp("shards"))
    rows = [Occurrence(*item, item[4] / 100, "前", "後") for item in drawn]
    index = write_name_and_place_scripts(iter(rows), folder, top_per_type=2, sizes=ScriptSizes(*sizes))
    shards, places = read_scripts(folder.root, "names"), read_scripts(folder.root, "places")
    listed = [(row[0], row[1]) for shard in shards for row in shard]
    assert listed == sorted({(name, type_number) for name, type_number, *_ in drawn})
    assert index.n_names == len(listed)
    assert len(shards) == len(index.first_and_last_chars)
    for shard, (first, last) in zip(shards, index.first_and_last_chars, strict=True):
        assert (first, last) == (ord(shard[0][0][0]), ord(shard[-1][0][0]))
    for row in (row for shard in shards for row in shard):
        of_name = [item for item in drawn if (item[0], item[1]) == (row[0], row[1])]
        decoded, contexts = read_places(row, places)
        assert decoded == [item[2:] for item in of_name]
        mean_score = sum(item[4] for item in of_name) / 100 / len(of_name)
        assert row[2:5] == [len(of_name), len({item[2] for item in of_name}), pytest.approx(mean_score, abs=6e-4)]
        assert contexts[:1] == [["前", "後"]]
    assert index.top_rows == sorted(index.top_rows, key=lambda row: -row[2])
    for number in {number for _, number in listed}:
        times = sorted((row[2] for shard in shards for row in shard if row[1] == number), reverse=True)
        assert [row[2] for row in index.top_rows if row[1] == number] == times[:2]


@given(st.integers(0, 10**9))
def test_numbers_to_the_base_36(number):
    assert int(to_base36(number), 36) == number


def test_titles_in_thousands(tmp_path):
    write_title_scripts((f"d/{i}" for i in range(2001)), SiteFolder(tmp_path))
    assert [len(part) for part in read_scripts(tmp_path, "titles")] == [1000, 1000, 1]


# ---- messages and drawings


def test_every_text_is_in_both_languages():
    for key, text in {**SHARED_TEXTS, **SITE_TEXTS}.items():
        assert len(text) == len(LANGUAGES)
        assert all(part.strip() for part in text), key
        assert len({tuple(sorted(set(re.findall(r"\{\d\}", part)))) for part in text}) == 1, key
        same = text[0] == text[1] and not re.search("[A-Za-z]", text[0])
        assert key == "other_language" or re.search("[\u4e00-\u9fff\uff00-\uffef]", text[1]) or same, key


def test_every_text_is_used_and_every_used_text_exists():
    sources = [*SITE.glob("*.j2"), *SITE.glob("assets/*.js"), SITE / "pages.py", SITE / "corpus_pages.py"]
    sources.append(SITE / "drawing.py")
    sources = [path.read_text(encoding="utf-8") for path in sources]
    words = set(re.findall(r"[\"'](\w+)[\"']", "\n".join(sources)))
    assert not set(SITE_TEXTS) - words
    used = set()
    for source in sources:
        used |= set(re.findall(r"\b(?:translate|setStatus|numberSpan)\(\s*\"(\w+)\"", source))
    assert used - set(SITE_TEXTS) - set(SHARED_TEXTS) == set()


@given(st.integers(1, 40).flatmap(lambda pages: st.tuples(st.just(pages), st.integers(0, pages - 1))))
def test_a_pager_offers_the_ends_and_the_neighbours(drawn):
    pages, page = drawn
    linked = list_linked_pages_with_gaps(page, pages)
    numbers = [number for number in linked if number is not None]
    assert {0, page, pages - 1} <= set(numbers) <= set(range(pages))
    for a, b in pairwise(numbers):
        gap = linked[linked.index(a) + 1] is None
        assert gap == (b - a > 1)


def test_the_bars_are_as_tall_as_the_counts():
    counts = {"agree": [0, 4], "slm": [2, 4], "llm": [0, 0], "person": [0, 0]}
    svg = str(draw_stacked_histogram(counts, width=200, height=100))
    bars = re.findall(r'class="by-(\w+)" x="([\d.]+)" y="([\d.]+)" width="98.0" height="([\d.]+)"', svg)
    assert bars == [
        ("slm", "1.0", "75.00", "25.00"),
        ("agree", "101.0", "50.00", "50.00"),
        ("slm", "101.0", "0.00", "50.00"),
    ]
    assert "<rect" not in draw_stacked_histogram({decider: [0] for decider in DECIDERS})


@given(texts())
def test_no_name_of_a_type_ends_its_string(name):
    style = build_type_stylesheet([name], {name: (1, 2)})
    string = style.partition('content:"\\2060 ')[2].removesuffix('"}\n')
    undone = re.sub(r"\\([0-9a-f]+) ", lambda found: chr(int(found.group(1), 16)), string)
    assert undone == name.replace("\0", "\ufffd")
    assert not re.search(r'["\n\r\f<]', string)

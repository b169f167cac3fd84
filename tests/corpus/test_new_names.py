"""Names of a tagged corpus that the training text never tags."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.new_names import NewNames, count_new_names
from rayner.corpus.scripts.conversion import build_script_converter
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.strategies import at_most

NAMES = ["楚", "懷王", "張儀", "𠀀"]


@at_most(20)
@given(st.lists(st.lists(st.sampled_from(NAMES), max_size=9), min_size=1, max_size=3), st.sets(st.sampled_from(NAMES)))
def test_each_entity_counts_in_whatever_file_it_is(tmp_path_factory, units, known):
    tagged = tmp_path_factory.mktemp("t")
    for i, names in enumerate(units):
        text = "。".join(names)
        starts = [sum(len(name) + 1 for name in names[:k]) for k in range(len(names))]
        rows = [entity(f"{i}", start, name) for start, name in zip(starts, names, strict=True)]
        write_unit(tagged, f"unit-{i}.parquet", [document(f"{i}", text)], rows)
    counts = Counter(name for names in units for name in names)
    new = sum(n for name, n in counts.items() if name not in known)
    assert count_new_names(tagged, known) == NewNames(counts.total(), new)


def test_names_are_compared_in_the_script_in_which_the_models_read_them(tmp_path):
    write_unit(tmp_path, "u.parquet", [document("d", "张仪")], [entity("d", 0, "张仪")])
    converter = build_script_converter(["張儀為秦連橫說魏王，儀乃還報秦王。"] * 9)
    assert count_new_names(tmp_path, {"張儀"}) == NewNames(1, 1)
    assert count_new_names(tmp_path, {"張儀"}, converter) == NewNames(1, 0)
    assert NewNames(0, 0).new_share == 0

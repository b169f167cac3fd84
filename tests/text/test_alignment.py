"""A changed copy is aligned at least cost, and no character of either side is lost or invented."""

from hypothesis import given
from hypothesis import strategies as st

from rayner.text.alignment import align_copy
from tests.strategies import texts

short = st.text("楚懷王", max_size=9)
pairs = st.tuples(short, short) | st.tuples(texts(12), texts(12))


def least_cost(original, copy):
    """The fewest changes, then the fewest replacements, cell by cell."""
    rows = [[(j, 0) for j in range(len(copy) + 1)]]
    for i, char in enumerate(original, start=1):
        row = [(i, 0)]
        for j, other in enumerate(copy, start=1):
            (down, right, across) = rows[-1][j], row[-1], rows[-1][j - 1]
            changed = int(char != other)
            row.append(
                min(
                    (down[0] + 1, down[1]),
                    (right[0] + 1, right[1]),
                    (across[0] + changed, across[1] + changed),
                )
            )
        rows.append(row)
    return rows[-1][-1]


@given(texts())
def test_an_exact_copy_is_aligned_character_by_character(text):
    found = align_copy(text, text)
    assert found.offsets == tuple(range(len(text)))
    assert found.is_exact
    assert (found.inserted, found.deleted, found.replaced) == (0, 0, 0)


@given(pairs)
def test_no_character_is_lost_or_invented(pair):
    original, copy = pair
    found = align_copy(original, copy)
    assert len(found.offsets) == len(copy)
    places = [offset for offset in found.offsets if offset is not None]
    assert places == sorted(set(places))
    assert all(0 <= offset < len(original) for offset in places)
    # What was kept with what was deleted is the original; with what was inserted, the copy.
    assert len(places) + found.deleted == len(original)
    assert len(places) + found.inserted == len(copy)
    differing = [offset for offset, char in zip(found.offsets, copy, strict=True)
                 if offset is not None and original[offset] != char]  # fmt: skip
    assert found.replaced == len(differing)
    assert found.is_exact == (original == copy)


@given(pairs)
def test_the_changes_are_as_few_as_can_be_and_of_them_as_few_replacements(pair):
    found = align_copy(*pair)
    assert (found.inserted + found.deleted + found.replaced, found.replaced) == least_cost(*pair)


@given(short, short, short)
def test_what_is_only_added_or_only_left_out_is_counted_as_such(before, middle, after):
    whole, shorter = before + middle + after, before + after
    assert (align_copy(whole, shorter).deleted, align_copy(whole, shorter).replaced) == (len(middle), 0)
    assert (align_copy(shorter, whole).inserted, align_copy(shorter, whole).replaced) == (len(middle), 0)


def test_alignments_worked_by_hand():
    assert align_copy("楚懷王", "楚怀王").offsets == (0, 1, 2)  # one replaced
    assert align_copy("楚懷王", "楚王").offsets == (0, 2)
    assert align_copy("楚王", "楚懷王").offsets == (0, None, 1)
    assert align_copy("楚", "").offsets == ()
    assert align_copy("", "楚").offsets == (None,)
    # Two changes either way: to copy one of them is better than to replace both.
    assert align_copy("楚王", "王懷").offsets == (1, None)
    assert align_copy("楚王使怒去", "楚王使怒去楚王使怒去").offsets == (0, 1, 2, 3, 4, *[None] * 5)

"""Characters that keep the same company fall into the same cluster."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rayner.taggers import character_clusters
from rayner.taggers.character_clusters import cluster_characters
from tests.strategies import at_most, texts

SURNAMES, RANKS, VERBS = "趙錢孫李周吳", "王公侯伯子男", "去來歸怒哭笑"


def sentences(n=3000, seed=1):
    """Of a surname, a rank and a verb each: what stands where tells the three apart."""
    draw = random.Random(seed)
    return ["".join((draw.choice(SURNAMES), draw.choice(RANKS), draw.choice(VERBS), "。")) for _ in range(n)]


def test_no_cluster_mixes_characters_of_different_company():
    found = cluster_characters(sentences, [8], seed=1)
    kinds = [{found[char][0] for char in kind} for kind in (SURNAMES, RANKS, VERBS, "。")]
    assert sum(map(len, kinds)) == len(set.union(*kinds)) <= 8


def test_each_number_of_clusters_is_learned_by_itself_and_the_same_twice():
    found = cluster_characters(sentences, [2, 4], seed=1)
    assert found == cluster_characters(sentences, [2, 4], seed=1)
    assert {len(own) for own in found.values()} == {2}
    assert {char: own[1:] for char, own in found.items()} == cluster_characters(sentences, [4], seed=1)
    assert {own[0] for own in found.values()} == {0, 1}


def test_of_fewer_characters_than_clusters_each_has_its_own():
    found = cluster_characters(lambda: ["楚王之楚"], [32], seed=1)
    assert sorted(own[0] for own in found.values()) == [0, 1, 2]


def test_nothing_is_learned_of_nothing():
    assert cluster_characters(list, [32], seed=1) == {}
    assert cluster_characters(lambda: ["", ""], [32], seed=1) == {}


@at_most(30)
@given(st.lists(texts(30), min_size=1, max_size=5))
def test_company_is_counted_as_by_hand(batch):
    whole = "".join(batch)
    chars = sorted(set(whole))
    if not chars:
        return
    found = character_clusters._count_neighbours(batch, chars)
    for offset, counts in zip(character_clusters._OFFSETS, found, strict=True):
        expected = np.zeros((len(chars), len(chars)), dtype=int)
        for i, char in enumerate(whole):
            if 0 <= i + offset < len(whole):
                expected[chars.index(char), chars.index(whole[i + offset])] += 1
        assert (counts == expected).all()


@at_most(20)
@given(st.lists(texts(30), max_size=5))
def test_every_character_of_odd_texts_has_a_cluster(batch):
    found = cluster_characters(lambda: batch, [3], seed=1)
    assert set(found) == set("".join(batch))
    assert all(0 <= own[0] < max(3, len(found)) for own in found.values())

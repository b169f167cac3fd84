"""Which windows a step reads and what is hidden in them: each window once an epoch, by step and seed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rayner.pretraining.training_order import WindowOrder, mask_held_out, mask_step, permute

SEEDS = st.integers(0, 2**32 - 1)
ORDINARY = np.arange(5, 60)


@given(n=st.integers(1, 700), key=st.tuples(SEEDS, st.integers(0, 9)))
def test_a_permutation_moves_every_place_to_another_one(n, key):
    assert sorted(permute(np.arange(n), n, key)) == [*range(n)]


@given(n=st.integers(1, 10**15), key=st.tuples(SEEDS), data=st.data())
def test_a_place_moves_alike_alone_and_with_others_however_many_there_are(n, key, data):
    places = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20, unique=True)))
    moved = permute(places, n, key)
    assert [int(permute(places[i : i + 1], n, key)[0]) for i in range(len(places))] == moved.tolist()
    assert len({*moved.tolist()}) == len(places)
    assert all(0 <= place < n for place in moved)


def test_other_keys_give_other_orders_and_neighbours_part():
    orders = [permute(np.arange(1000), 1000, (13, epoch)) for epoch in range(20)]
    shares_of_neighbours = [np.mean(np.abs(np.diff(order)) == 1) for order in orders]
    assert max(shares_of_neighbours) < 0.02
    for i in range(20):
        for k in range(i):
            assert np.mean(orders[i] == orders[k]) < 0.02
    places_of_first = [int(order[0]) for order in orders]
    assert len({*places_of_first}) > 15


@given(n_train=st.integers(1, 60), n_held_out=st.integers(1, 20), batch_size=st.integers(1, 70), seed=SEEDS)
def test_every_epoch_reads_each_training_window_once_and_no_held_out_one(n_train, n_held_out, batch_size, seed):
    order = WindowOrder(n_train + n_held_out, n_held_out, batch_size, seed)
    held_out = {*order.held_out_rows().tolist()}
    assert len(held_out) == n_held_out
    rows = [row for step in range(-(-3 * n_train // batch_size)) for row in order.step_rows(step).tolist()]
    for epoch in range(3):
        read = rows[epoch * n_train : (epoch + 1) * n_train]
        assert sorted(read) == sorted({*range(n_train + n_held_out)} - held_out)


@given(seed=SEEDS, steps=st.permutations(range(6)))
def test_a_step_reads_the_same_whatever_was_read_before(seed, steps):
    order = WindowOrder(50, 5, 8, seed)
    in_order = [order.step_rows(step).tolist() for step in range(6)]
    assert {step: order.step_rows(step).tolist() for step in steps} == dict(enumerate(in_order))


TOKENS = st.lists(st.lists(st.integers(0, 59), min_size=12, max_size=12), min_size=1, max_size=5).map(np.array)


@given(tokens=TOKENS, share=st.floats(0.01, 0.9), seed=SEEDS, step=st.integers(0, 10**9))
def test_the_same_share_of_the_ordinary_tokens_is_hidden_in_every_window(tokens, share, seed, step):
    windows = mask_step(tokens, ORDINARY, share, seed, step)
    is_ordinary = np.isin(tokens, ORDINARY)
    assert not (windows.is_hidden & ~is_ordinary).any()
    for hidden, ordinary in zip(windows.is_hidden.sum(1), is_ordinary.sum(1), strict=True):
        assert hidden == min(ordinary, max(1, round(share * ordinary)))
    assert np.isin(windows.random_tokens, ORDINARY).all()
    assert ((windows.draws >= 0) & (windows.draws < 1)).all()
    again = mask_step(tokens, ORDINARY, share, seed, step)
    assert all(np.array_equal(a, b) for a, b in zip(vars(windows).values(), vars(again).values(), strict=True))


@given(tokens=TOKENS, n_workers=st.integers(1, 6), step=st.integers(0, 99))
def test_workers_share_what_is_hidden(tokens, n_workers, step):
    windows = mask_step(tokens, ORDINARY, 0.3, 13, step)
    shares = [windows.worker_share(rank, n_workers) for rank in range(n_workers)]
    for name, rows in vars(windows).items():
        parts = [getattr(share, name) for share in shares]
        assert sum(map(len, parts)) == len(rows)
        assert all(np.array_equal(parts[i % n_workers][i // n_workers], row) for i, row in enumerate(rows))


def test_every_place_is_hidden_as_often_as_another_and_not_the_same_ones_in_each_step():
    tokens = np.full((32, 40), 7)
    hidden = np.stack([mask_step(tokens, ORDINARY, 0.25, 13, step).is_hidden for step in range(100)])
    rates = hidden.mean(axis=(0, 1))
    assert abs(rates - 0.25).max() < 0.04
    assert not np.array_equal(hidden[0], hidden[1])
    held_out = [mask_held_out(tokens, ORDINARY, 0.25, 13, batch).is_hidden for batch in (0, 0, 1)]
    assert np.array_equal(held_out[0], held_out[1])
    assert not np.array_equal(held_out[0], held_out[2])
    assert not np.array_equal(held_out[0], hidden[0])

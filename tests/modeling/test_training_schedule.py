import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rayner.errors import ConfigError
from rayner.modeling.devices import resolve_device, set_torch_threads
from rayner.modeling.tensors import pad_rows
from rayner.modeling.training_schedule import epoch_batches, learning_rate_factor, split_by_tokens, worker_share

lengths = st.lists(st.integers(0, 50), max_size=200)
sizes = st.integers(1, 9)
seeds = st.integers(0, 2**31)
rows = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=5)


@given(lengths, sizes, seeds)
def test_every_item_stands_in_exactly_one_batch_and_batches_are_full(lengths, size, seed):
    cut = epoch_batches(lengths, size, seed)
    assert sorted(i for batch in cut for i in batch) == list(range(len(lengths)))
    assert len(cut) == math.ceil(len(lengths) / size)
    assert all(1 <= len(batch) <= size for batch in cut)


@given(lengths, sizes, seeds)
def test_batches_depend_on_the_seed_alone(lengths, size, seed):
    assert epoch_batches(lengths, size, seed) == epoch_batches(lengths, size, seed)


def test_another_seed_makes_other_batches():
    drawn = [frozenset(map(frozenset, epoch_batches([7] * 40, 4, seed))) for seed in range(5)]
    assert len(set(drawn)) == 5


@given(st.lists(st.integers(0, 50), max_size=64), st.integers(2, 9), seeds)
def test_batches_of_a_block_do_not_interleave_in_length(lengths, size, seed):
    cut = [sorted(lengths[i] for i in batch) for batch in epoch_batches(lengths, size, seed)]
    spread = sorted((batch[0], batch[-1]) for batch in cut)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(spread))


@given(st.integers(1, 40), st.integers(1, 8))
def test_workers_share_a_batch_without_loss_or_repetition(n, world):
    batch = list(range(100, 100 + n))
    parts = [worker_share(batch, rank, world) for rank in range(world)]
    own, idle = parts[:n], parts[n:]
    assert sorted(i for part in own for i in part) == batch
    assert all(part == [batch[0]] for part in idle)
    assert max(map(len, parts)) - min(map(len, own)) <= 1


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(1, 300), st.integers(1, 5))
def test_a_step_is_divided_by_tokens_into_equally_many_passes_for_every_worker(lengths, max_tokens, world):
    workers = split_by_tokens(lengths, max_tokens, world)
    assert len(workers) == world
    assert len({len(passes) for passes in workers}) == 1
    assert sorted(i for passes in workers for each in passes for i in each) == list(range(len(lengths)))
    padded = [max(lengths[i] for i in each) * len(each) for passes in workers for each in passes if each]
    alone = [max(lengths[i] for i in each) for passes in workers for each in passes if len(each) == 1]
    assert sum(tokens > max_tokens for tokens in padded) == sum(n > max_tokens for n in lengths)
    assert sum(tokens > max_tokens for tokens in alone) == sum(n > max_tokens for n in lengths)
    fewest = math.ceil(sum(lengths) / max(max_tokens, *lengths) / world)
    assert fewest <= len(workers[0]) <= math.ceil(len(lengths) / world)
    if max_tokens >= max(lengths) * len(lengths):
        assert len(workers[0]) == 1


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(1, 300), st.integers(1, 4))
def test_no_other_division_of_neighbours_in_length_has_fewer_passes_or_a_smaller_largest_one(
    lengths, max_tokens, world
):
    ordered = sorted(lengths, reverse=True)

    def costs(cuts):
        bounds = [0, *cuts, len(ordered)]
        return [ordered[start] * (end - start) for start, end in itertools.pairwise(bounds)]

    def fits(cuts):
        bounds = [0, *cuts, len(ordered)]
        return all(
            ordered[start] * (end - start) <= max_tokens or end - start == 1
            for start, end in itertools.pairwise(bounds)
        )

    places = range(1, len(ordered))
    divisions = [cuts for n in range(len(ordered)) for cuts in itertools.combinations(places, n) if fits(cuts)]
    fewest = math.ceil(min(len(cuts) + 1 for cuts in divisions) / world)
    workers = split_by_tokens(lengths, max_tokens, world)
    assert len(workers[0]) == fewest
    largest = max(max(lengths[i] for i in each) * len(each) for passes in workers for each in passes if each)
    assert largest == min(max(costs(cuts)) for cuts in divisions if len(cuts) < fewest * world)


@given(st.data(), st.integers(1, 300), st.integers(1, 5))
def test_items_that_share_a_beginning_fill_passes_by_what_is_computed(data, max_tokens, world):
    n_common = data.draw(st.integers(0, 20))
    lengths = data.draw(st.lists(st.integers(n_common + 1, 60), min_size=1, max_size=40))
    workers = split_by_tokens(lengths, max_tokens, world, n_common)
    assert len({len(passes) for passes in workers}) == 1
    assert sorted(i for passes in workers for each in passes for i in each) == list(range(len(lengths)))
    filled = [each for passes in workers for each in passes if each]
    for each in filled:
        assert len(each) == 1 or n_common + sum(lengths[i] - n_common for i in each) <= max_tokens
    ordered = sorted(filled, key=lambda each: -lengths[each[0]])
    shown = [lengths[i] for each in ordered for i in each]
    assert shown == sorted(lengths, reverse=True)


def test_a_common_beginning_counts_once_in_a_pass():
    assert split_by_tokens([10, 10, 10], 30, 1, 0) == [[[0, 1, 2]]]
    assert split_by_tokens([10, 10, 10], 29, 1, 0) == [[[0, 1], [2]]]
    assert split_by_tokens([10, 10, 10], 14, 1, 8) == [[[0, 1, 2]]]
    assert split_by_tokens([10, 10, 10], 13, 1, 8) == [[[0, 1], [2]]]


def test_one_worker_does_not_do_all_that_would_fit_into_its_pass():
    assert split_by_tokens([5, 9, 5, 9], 1000, 2) == [[[1, 3]], [[0, 2]]]
    assert split_by_tokens([5, 9, 5], 1000, 4) == [[[1]], [[0]], [[2]], [[]]]


@given(st.integers(1, 300), st.floats(0, 1))
def test_learning_rate_rises_over_the_warmup_and_falls_to_zero_after(steps, warmup):
    rates = [learning_rate_factor(step, steps, warmup) for step in range(steps)]
    rising = max(1, int(steps * warmup))
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[rising - 1] == 1
    assert rates[:rising] == pytest.approx([(i + 1) / rising for i in range(rising)])
    falling = rates[rising:]
    assert falling == pytest.approx([1 - i / len(falling) for i in range(len(falling))])
    assert learning_rate_factor(steps, steps, warmup) == 0


@given(rows, st.booleans())
def test_padding_keeps_rows_and_fills_one_side(rows, left):
    padded = pad_rows(rows, -7, left=left)
    longest = max(map(len, rows))
    assert padded.shape == (len(rows), longest)
    assert padded.dtype == torch.int64
    for row, found in zip(rows, padded.tolist(), strict=True):
        fill = [-7] * (longest - len(row))
        assert found == (fill + row if left else row + fill)


@pytest.mark.parametrize(
    ("name", "gpus", "torch_sees_one", "device"),
    [
        ("auto", 0, True, "cpu"), ("auto", 1, True, "cuda"), ("auto", 0.5, True, "cuda"), ("auto", 1, False, "cpu"),
        ("cpu", 1, True, "cpu"), ("cuda", 1, True, "cuda"), ("cuda", 1, False, None), ("cuda", 0, True, None),
    ],
)  # fmt: skip
def test_a_process_uses_a_gpu_only_if_it_was_given_one(monkeypatch, name, gpus, torch_sees_one, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: torch_sees_one)
    if device is None:
        with pytest.raises(ConfigError, match=r"^device: expected, for cuda, a GPU in each process"):
            resolve_device(name, gpus)
    else:
        assert resolve_device(name, gpus) == torch.device(device)


def test_threads_are_at_least_one_and_no_more_than_processors(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    try:
        found = []
        for cpus in (0, 1, 2, 64):
            set_torch_threads(cpus)
            found.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert found == [1, 1, 2, 2]

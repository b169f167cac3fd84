"""A unit survives what its segments do: raise, or kill their process, once or always; and its scores do not show it."""

import json
import multiprocessing
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.errors import JobError
from rayner.steps.tag.attempts import (
    MAX_ATTEMPTS_ALONE,
    MAX_HALVINGS,
    MAX_WHOLE_ATTEMPTS,
    MIN_SEGMENTS_OF_SYSTEMATIC_FAILURE,
    WHOLE_ATTEMPTS_BEFORE_ISOLATION,
    run_isolating_failures,
)

TEXTS = st.lists(st.sampled_from(["a", "b", "poison", "c", "worse"]), max_size=7)


class Model:
    """Answers with the text in capitals and the batch it came in; cannot take some texts."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts, halvings):
        self.asked.append(list(texts))
        for text in texts:
            if text == "poison":
                raise ValueError("cannot take this")
            if text == "worse":
                raise KeyError("x" * 10_000)
        return [(text.upper(), tuple(texts), halvings) for text in texts]


@given(TEXTS)
def test_a_poison_text_costs_itself_only_and_the_others_are_done_together(texts):
    result = run_isolating_failures(Model(), texts, None, "job")
    clean = tuple(text for text in texts if text not in ("poison", "worse"))
    assert result.predictions == [None if text in ("poison", "worse") else (text.upper(), clean, 0) for text in texts]
    for text, error in zip(texts, result.errors, strict=True):
        if text == "poison":
            assert error == "ValueError: cannot take this"
        elif text == "worse":
            assert error.startswith("KeyError: 'xxx")
            assert len(error) == 500
        else:
            assert error is None


@given(TEXTS)
def test_the_unit_is_tried_first_and_each_text_alone_only_if_it_fails(texts):
    model = Model()
    run_isolating_failures(model, texts, None, "job")
    clean = [text for text in texts if text not in ("poison", "worse")]
    alone = [[text] for text in texts for _ in range(1 if text in clean else MAX_ATTEMPTS_ALONE)]
    again = [] if clean == texts else [*alone, *([clean] if clean else [])]
    assert model.asked == ([texts] if texts else []) + again


def test_a_text_that_fails_alone_once_is_not_set_aside():
    failures = iter([ValueError("whole"), ValueError("alone")])

    def predict(texts, halvings):
        if error := next(failures, None):
            raise error
        return [f"{text} of {len(texts)}" for text in texts]

    result = run_isolating_failures(predict, ["a", "b"], None, "job")
    assert (result.predictions, result.errors) == (["a of 2", "b of 2"], [None, None])


def test_answers_that_were_computed_alone_are_never_taken():
    def predict(texts, halvings):
        if len(texts) > 1:
            raise ValueError("together")
        return [texts[0].upper()]

    with pytest.raises(JobError, match="its 2 segments fail together, but none of them fails alone: ValueError"):
        run_isolating_failures(predict, ["a", "b"], None, "job")


def test_a_failure_of_all_segments_is_one_of_the_program():
    def predict(texts, halvings):
        raise TypeError("an unexpected keyword")

    n = MIN_SEGMENTS_OF_SYSTEMATIC_FAILURE
    with pytest.raises(JobError, match=f"all of its {n} segments fail; the first: TypeError: an unexpected keyword"):
        run_isolating_failures(predict, ["a"] * n, None, "job")
    assert run_isolating_failures(predict, ["a"] * (n - 1), None, "job").predictions == [None] * (n - 1)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"),
                                   RuntimeError("CUDA out of memory. Tried to allocate")])  # fmt: skip
def test_a_unit_that_ran_out_of_memory_is_predicted_in_smaller_batches_and_that_is_kept(tmp_path, error):
    note = tmp_path / "note.json"

    def predict(texts, halvings):
        if len(texts) > 1 and halvings < 3:
            raise error
        return [f"{text} of {len(texts)} by {halvings}" for text in texts]

    result = run_isolating_failures(predict, ["a", "b"], note, "first")
    assert (result.predictions, result.halvings) == (["a of 2 by 3", "b of 2 by 3"], 3)
    # Another job, in which memory would be enough, makes the same batches.
    result = run_isolating_failures(lambda texts, n: [f"{text} by {n}" for text in texts], ["a", "b"], note, "second")
    assert (result.predictions, result.halvings) == (["a by 3", "b by 3"], 3)


def test_a_text_for_which_memory_never_suffices_is_set_aside_and_the_others_get_whole_batches():
    def predict(texts, halvings):
        if "huge" in texts:
            raise MemoryError("huge")
        return [f"{text} of {len(texts)} by {halvings}" for text in texts]

    result = run_isolating_failures(predict, ["a", "huge", "b"], None, "job")
    assert result.predictions == ["a of 2 by 0", None, "b of 2 by 0"]
    assert result.errors[1] == "MemoryError: huge"
    assert MAX_HALVINGS > 3


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_failure_of_a_text(kind, tmp_path):
    def interrupted(_, halvings):
        raise kind

    with pytest.raises(kind):
        run_isolating_failures(interrupted, ["a", "b"], tmp_path / "note.json", "job")
    assert json.loads((tmp_path / "note.json").read_text())["whole_attempts"] == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"job": "job", "more": 1}', "\0\0"])
def test_a_damaged_note_counts_for_nothing(tmp_path, content):
    note = tmp_path / "note.json"
    note.write_text(content)
    assert run_isolating_failures(Model(), ["a"], note, "job").predictions == [("A", ("a",), 0)]
    assert not note.exists()


def in_a_process(work, texts, note, out, job):
    """Try a unit; write what came out. As an actor does, whose process may end on the way."""
    result = run_isolating_failures(work, texts, note, job)
    out.write_text(json.dumps([result.predictions, result.errors]))


def until_done(work, texts, folder, jobs=("job",)):
    """Start processes until one outlives the unit; how many died, and what came out. jobs: of each process in turn."""
    out, note = folder / "out.json", folder / "note.json"
    for died in range(30):
        job = jobs[min(died, len(jobs) - 1)]
        process = multiprocessing.get_context("fork").Process(target=in_a_process, args=(work, texts, note, out, job))
        process.start()
        process.join()
        if process.exitcode == 0:
            assert not note.exists()
            return died, json.loads(out.read_text())
        assert process.exitcode == -signal.SIGKILL
    pytest.fail("it never ends")


def deadly(texts, halvings):
    if "death" in texts:
        os.kill(os.getpid(), signal.SIGKILL)
    if "poison" in texts:
        raise ValueError("no")
    return [f"{text} of {len(texts)}" for text in texts]


def test_a_text_that_kills_its_process_is_set_aside_with_the_reason(tmp_path):
    died, (answers, errors) = until_done(deadly, ["a", "death", "b", "poison"], tmp_path)
    assert died == WHOLE_ATTEMPTS_BEFORE_ISOLATION + MAX_ATTEMPTS_ALONE
    assert answers == ["a of 2", None, "b of 2", None]
    assert errors == [
        None,
        f"its process died {MAX_ATTEMPTS_ALONE} times while it was tried alone",
        None,
        "ValueError: no",
    ]


@pytest.mark.parametrize("killed_at", [2, 3])  # the first and the second attempt alone
def test_a_kill_by_chance_does_not_change_the_reason(tmp_path, killed_at):
    calls = tmp_path / "calls"

    def predict(texts, halvings):
        calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
        if len(calls.read_text()) == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return deadly(texts, halvings)

    died, (_, errors) = until_done(predict, ["poison", "a"], tmp_path)
    assert (died, errors) == (1, ["ValueError: no", None])


def test_several_are_all_found(tmp_path):
    died, (answers, errors) = until_done(deadly, ["death", "a", "death"], tmp_path)
    assert died == WHOLE_ATTEMPTS_BEFORE_ISOLATION + 2 * MAX_ATTEMPTS_ALONE
    assert answers == [None, "a of 1", None]
    assert errors[0] == errors[2] is not None


def killing(tmp_path, deaths, only_together):
    """A model that is killed from outside so many times, and then lives."""
    seen = tmp_path / "deaths"

    def predict(texts, halvings):
        seen.touch()
        if (len(texts) > 1 or not only_together) and len(seen.read_text()) < deaths:
            with seen.open("a") as stream:
                stream.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return [f"{text} of {len(texts)}" for text in texts]

    return predict


@pytest.mark.parametrize("deaths", range(1, MAX_WHOLE_ATTEMPTS))
def test_a_process_that_is_killed_for_nothing_leaves_no_trace_in_the_scores(tmp_path, deaths):
    """Killed from outside, always over the unit as a whole, in one job."""
    died, result = until_done(killing(tmp_path, deaths, only_together=True), ["a", "b"], tmp_path)
    assert died == deaths
    assert result == [["a of 2", "b of 2"], [None, None]]


@pytest.mark.parametrize("deaths", [1, 3, 6, 12])
def test_kills_of_the_whole_job_count_for_nothing(tmp_path, deaths):
    """Each process belongs to another job: the driver was killed, or the job was stopped."""
    jobs = [f"job {i}" for i in range(deaths + 1)]
    died, result = until_done(killing(tmp_path, deaths, only_together=False), ["a", "b"], tmp_path, jobs)
    assert died == deaths
    assert result == [["a of 2", "b of 2"], [None, None]]


def test_a_unit_that_kills_only_as_a_whole_ends_the_job_with_the_way_on(tmp_path):
    note = tmp_path / "note.json"
    note.write_text(json.dumps({"job": "job", "whole_attempts": MAX_WHOLE_ATTEMPTS, "n_tried_alone": 2}))
    with pytest.raises(JobError, match=r"died 6 times .* smaller batches \(score.slm.batch_size"):
        run_isolating_failures(Model(), ["a", "b"], note, "job")
    assert run_isolating_failures(Model(), ["a"], note, "next job").errors == [None]


@pytest.mark.parametrize("tried", [0, 1, 2])
def test_isolation_goes_on_where_its_process_died(tmp_path, tried):
    note, model = tmp_path / "note.json", Model()
    note.write_text(json.dumps({"job": "job", "whole_attempts": 2, "n_tried_alone": tried, "attempts_alone": 1}))
    run_isolating_failures(model, ["a", "b", "c"], note, "job")
    assert model.asked == [*(["a"], ["b"], ["c"])[tried:], ["a", "b", "c"]]

"""A unit survives what its segments do: raise, or kill their process, once or always; and its scores do not show it."""

import json
import multiprocessing
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.steps.tag.attempts import MAX_SEGMENT_CRASHES, MAX_UNIT_ATTEMPTS, run_isolating_failures

TEXTS = st.lists(st.sampled_from(["a", "b", "poison", "c", "worse"]), max_size=8)


class Model:
    """Answers with the text in capitals and the batch it came in; cannot take some texts."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.append(list(texts))
        for text in texts:
            if text == "poison":
                raise ValueError("cannot take this")
            if text == "worse":
                raise MemoryError("x" * 10_000)
        return [(text.upper(), tuple(texts)) for text in texts]


@given(TEXTS)
def test_a_poison_text_costs_itself_only_and_the_others_are_done_together(texts):
    answers, errors = run_isolating_failures(Model(), texts, None)
    clean = tuple(text for text in texts if text not in ("poison", "worse"))
    assert answers == [None if text in ("poison", "worse") else (text.upper(), clean) for text in texts]
    for text, error in zip(texts, errors, strict=True):
        if text == "poison":
            assert error == "ValueError: cannot take this"
        elif text == "worse":
            assert error.startswith("MemoryError: xxx")
            assert len(error) == 500
        else:
            assert error is None


@given(TEXTS)
def test_the_unit_is_tried_first_and_each_text_alone_only_if_it_fails(texts):
    model = Model()
    run_isolating_failures(model, texts, None)
    clean = [text for text in texts if text not in ("poison", "worse")]
    again = [] if clean == texts else [*([text] for text in texts), *([clean] if clean else [])]
    assert model.asked == ([texts] if texts else []) + again


def test_what_cannot_be_done_together_is_done_alone():
    asked = []

    def small(texts):
        asked.append(len(texts))
        if len(texts) > 1:
            raise MemoryError("too many")
        return [texts[0].upper()]

    assert run_isolating_failures(small, ["a", "b"], None) == (["A", "B"], [None, None])
    assert asked.count(2) == MAX_UNIT_ATTEMPTS


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_failure_of_a_text(kind, tmp_path):
    def interrupted(_):
        raise kind

    with pytest.raises(kind):
        run_isolating_failures(interrupted, ["a", "b"], tmp_path / "note.json")
    assert json.loads((tmp_path / "note.json").read_text())["unit_attempts"] == 1


def in_a_process(work, texts, note, out):
    """Try a unit; write what came out. As an actor does, whose process may end on the way."""
    out.write_text(json.dumps(run_isolating_failures(work, texts, note)))


def until_done(work, texts, folder):
    """Start processes until one outlives the unit; how many died, and what came out."""
    out, note = folder / "out.json", folder / "note.json"
    for died in range(30):
        process = multiprocessing.get_context("fork").Process(target=in_a_process, args=(work, texts, note, out))
        process.start()
        process.join()
        if process.exitcode == 0:
            assert not note.exists()
            return died, json.loads(out.read_text())
        assert process.exitcode == -signal.SIGKILL
    pytest.fail("it never ends")


def deadly(texts):
    if "death" in texts:
        os.kill(os.getpid(), signal.SIGKILL)
    if "poison" in texts:
        raise ValueError("no")
    return [f"{text} of {len(texts)}" for text in texts]


def test_a_text_that_kills_its_process_is_set_aside_with_the_reason(tmp_path):
    died, (answers, errors) = until_done(deadly, ["a", "death", "b", "poison"], tmp_path)
    assert died == 1 + MAX_SEGMENT_CRASHES
    assert answers == ["a of 2", None, "b of 2", None]
    assert errors == [
        None,
        f"its process died {MAX_SEGMENT_CRASHES} times while it was tried alone",
        None,
        "ValueError: no",
    ]


def test_several_are_all_found(tmp_path):
    died, (answers, errors) = until_done(deadly, ["death", "a", "death"], tmp_path)
    assert died == 1 + 2 * MAX_SEGMENT_CRASHES
    assert answers == [None, "a of 1", None]
    assert errors[0] == errors[2] is not None


@pytest.mark.parametrize("deaths", [1, 2, 3, 4, 5])
def test_a_process_that_is_killed_for_nothing_leaves_no_trace_in_the_scores(tmp_path, deaths):
    """Killed from outside, always over the unit as a whole."""

    def killed(texts):
        seen = tmp_path / "deaths"
        seen.touch()
        if len(texts) > 1 and len(seen.read_text()) < deaths:
            with seen.open("a") as stream:
                stream.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return [f"{text} of {len(texts)}" for text in texts]

    died, (answers, errors) = until_done(killed, ["a", "b"], tmp_path)
    assert died == min(deaths, MAX_UNIT_ATTEMPTS)
    assert errors == [None, None]
    # After three deaths the segments' own answers are taken: something about them together kills.
    assert answers == (["a of 2", "b of 2"] if deaths < MAX_UNIT_ATTEMPTS else ["a of 1", "b of 1"])

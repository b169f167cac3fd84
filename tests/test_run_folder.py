"""The run folder: a step is done once, from the inputs it names, and a crash leaves nothing that looks done."""

import json
import os
import threading

import pytest

from rayner.errors import ConfigError, DamagedFileError
from rayner.runs.json_files import read_json, write_json
from rayner.runs.run_folder import Run, file_sha256, folder_sha256, model_digest, replace_folder
from rayner.runs.step_manifest import StepManifest

INPUTS = {"data": {"files": {"a.txt": "1"}, "seed": 13}, "lr": 0.1, "types": ["NR"]}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_work_is_done_once_and_its_facts_are_found_again(run):
    calls = []

    def work():
        calls.append(1)
        return {"f1": 0.5, "types": ["NR"]}

    first = run.run_step("train", INPUTS, work)
    second = Run(run.root).run_step("train", json.loads(json.dumps(INPUTS)), work)
    assert len(calls) == 1
    assert first == second == run.step_result("train")
    assert first["f1"] == 0.5
    assert first["seconds"] >= 0


def test_inputs_equal_as_json_are_the_same_inputs(run):
    run.run_step("train", {"shape": (1, 2), "size": {3: "x"}}, dict)
    assert run.is_done_with_same_inputs("train", {"size": {"3": "x"}, "shape": [1, 2]})


@pytest.mark.parametrize(
    ("inputs", "key"),
    [
        ({**INPUTS, "lr": 0.2}, "lr was 0.1, is 0.2"),
        ({**INPUTS, "data": {"files": {"a.txt": "2"}, "seed": 13}}, "data.files.a.txt was '1', is '2'"),
        ({**INPUTS, "data": {"files": {"a.txt": "1", "b.txt": "3"}, "seed": 13}}, "data.files.b.txt was None, is '3'"),
        ({"data": INPUTS["data"], "lr": 0.1}, "types was ['NR'], is None"),
        ({**INPUTS, "types": ["NR", "NS"]}, "types was ['NR'], is ['NR', 'NS']"),
    ],
)
def test_other_inputs_are_refused_naming_folder_step_and_key(run, inputs, key):
    run.run_step("train", INPUTS, dict)
    before = run.digest_step_manifest("train")
    with pytest.raises(ConfigError) as caught:
        run.run_step("train", inputs, lambda: pytest.fail("refused work must not begin"))
    message = str(caught.value)
    assert str(run.root) in message
    assert "train was made from other inputs" in message
    assert key in message
    assert run.digest_step_manifest("train") == before


def test_a_crash_in_the_work_leaves_no_manifest_and_the_work_can_be_done_again(run):
    def crash():
        raise KeyError("x")

    with pytest.raises(KeyError):
        run.run_step("train", INPUTS, crash)
    assert not run.is_done_with_same_inputs("train", INPUTS)
    with pytest.raises(ConfigError, match="train is not done"):
        run.step_result("train")
    with pytest.raises(ConfigError, match="train is not done"):
        run.digest_step_manifest("train")
    assert run.run_step("train", INPUTS, lambda: {"a": 1})["a"] == 1


def test_facts_that_are_no_json_leave_no_manifest(run):
    with pytest.raises(TypeError):
        run.run_step("train", INPUTS, lambda: {"a": object()})
    assert not run.is_done_with_same_inputs("train", INPUTS)
    assert not [name for name in names(run.root) if not run.path(name).is_dir()]


def test_steps_do_not_share_a_manifest(run):
    run.run_step("a", INPUTS, lambda: {"x": 1})
    assert run.run_step("b", {"other": 1}, lambda: {"x": 2})["x"] == 2
    assert run.step_result("a")["x"] == 1


def test_the_digest_of_a_step_changes_with_its_facts(run, tmp_path):
    other = Run(tmp_path / "other")
    for each, value in ((run, 1), (other, 2)):
        write_json(each.path("steps", "a.json"), StepManifest({}, {"x": value}).to_json())
    assert run.digest_step_manifest("a") != other.digest_step_manifest("a")


def test_json_is_written_and_read_back_whatever_its_characters(tmp_path):
    value = {"text": '懷王\ue000𠀀\u2028\n<&"', "number": 0.1, "none": None, "list": [1, "2"]}
    path = tmp_path / "deep" / "er" / "a.json"
    write_json(path, value)
    assert read_json(path) == value
    assert names(tmp_path) == ["deep", "deep/er", "deep/er/a.json"]


def test_a_value_that_is_no_json_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_crash_before_the_rename_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def crash(*_):
        assert read_json(path) == {"a": 1}  # whoever reads now finds the old one
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(OSError, match="power cut"):
            write_json(path, {"a": 2})
    assert read_json(path) == {"a": 1}
    write_json(path, {"a": 3})
    assert read_json(path) == {"a": 3}


def test_a_reader_never_meets_half_a_file(tmp_path):
    path, size = tmp_path / "a.json", 20_000
    write_json(path, {"n": 0, "x": "x" * size})
    stop, seen = threading.Event(), []

    def read():
        while not stop.is_set():
            seen.append(read_json(path))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(1, 100):
        write_json(path, {"n": n, "x": "x" * size})
    while not seen:
        pass
    stop.set()
    reader.join()
    assert all(len(value["x"]) == size for value in seen)
    assert read_json(path)["n"] == 99


def test_a_whole_folder_takes_the_place_of_the_old_one(tmp_path):
    for content in ("old", "new"):
        with replace_folder(tmp_path / "m") as folder:
            (folder / f"{content}.txt").write_text(content)
            assert folder != tmp_path / "m"
    assert names(tmp_path) == ["m", "m/new.txt"]


def fill_half(folder):
    with replace_folder(folder) as part:
        (part / "half").write_text("")
        raise KeyError


def test_an_error_leaves_the_old_folder_and_the_next_try_begins_empty(tmp_path):
    with replace_folder(tmp_path / "m") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(KeyError):
        fill_half(tmp_path / "m")
    assert names(tmp_path / "m") == ["a"]
    assert (tmp_path / "m" / "a").read_text() == "old"
    with replace_folder(tmp_path / "m") as folder:
        assert names(folder) == []
        (folder / "b").write_text("")
    assert names(tmp_path / "m") == ["b"]


def test_an_error_leaves_no_folder_where_none_was(tmp_path):
    with pytest.raises(KeyError):
        fill_half(tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("aa")
    (folder / "sub" / "b.txt").write_text("b")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a.txt").write_text("aB"),
        lambda folder: (folder / "a.txt").write_text(""),
        lambda folder: (folder / "a.txt").rename(folder / "c.txt"),
        lambda folder: (folder / "a.txt").rename(folder / "sub" / "a.txt"),
        lambda folder: (folder / "a.txt").unlink(),
        lambda folder: (folder / "sub" / "new").write_text(""),
        lambda folder: [(folder / "a.txt").write_text("b"), (folder / "sub" / "b.txt").write_text("aa")],
    ],
    ids=["content", "emptied", "renamed", "moved", "removed", "added", "swapped"],
)
def test_the_digest_of_a_folder_changes_with_names_and_contents(model, change):
    before = folder_sha256(model)
    change(model)
    assert folder_sha256(model) != before


def test_the_digest_of_a_folder_does_not_depend_on_place_or_time(model, tmp_path):
    before = folder_sha256(model)
    os.utime(model / "a.txt", (0, 0))
    model.rename(tmp_path / "elsewhere")
    assert folder_sha256(tmp_path / "elsewhere") == before


def test_a_model_is_known_by_the_content_of_its_folder_or_by_its_name(model):
    assert model_digest(str(model)) == folder_sha256(model)
    assert model_digest("someone/some-model") == "someone/some-model"


def test_the_digest_of_a_file_is_its_sha_256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("content", "error", "found"),
    [
        ({"inputs": {}, "facts": {}}, ConfigError, "expected format_version 1, found a file without one"),
        ({}, ConfigError, "expected format_version 1, found a file without one"),
        ([], DamagedFileError, "expected a step's manifest, found a list"),
        ({"format_version": 2, "inputs": {}, "result": {}}, ConfigError, "expected format_version 1, found version 2"),
        ({"format_version": 1, "inputs": {}}, DamagedFileError, "expected the key result, found none"),
        (
            {"format_version": 1, "inputs": {}, "result": []},
            DamagedFileError,
            "result: expected an object, found a list",
        ),
    ],
)
def test_a_manifest_of_another_format_is_refused_saying_what_to_do(run, content, error, found):
    write_json(run.path("steps", "a.json"), content)
    for call in (
        lambda: run.step_result("a"),
        lambda: run.run_step("a", {}, dict),
        lambda: run.digest_step_manifest("a"),
    ):
        with pytest.raises(error, match=rf"a\.json: {found}.*--fresh"):
            call()


def test_types_and_digest_of_a_result_are_checked(run):
    run.run_step("data", {}, lambda: {"types": ["NR", "NS"], "digest": 7})
    assert run.entity_types() == ("NR", "NS")
    with pytest.raises(DamagedFileError, match=r"data\.json: result\.digest: expected a text, found the number 7: "):
        run.result_digest("data")
    run.run_step("score", {}, dict)
    with pytest.raises(DamagedFileError, match=r"score\.json: result\.digest: expected a value, found none: .*--fresh"):
        run.result_digest("score")
    with pytest.raises(ConfigError, match="train_slm is not done"):
        run.result_digest("train_slm")


def test_a_manifest_is_the_same_after_it_was_written_and_read():
    manifest = StepManifest({"seed": 13, "train": ["a.txt"]}, {"types": ["NR"], "seconds": 0.1})
    assert StepManifest.from_json(json.loads(json.dumps(manifest.to_json())), "a.json") == manifest


# ---- what only resuming needs


def test_what_only_resuming_needs_is_removed_and_the_status_stays(run):
    for name in ("llm-full-1/checkpoint_0/model/a", "llm-full-1/status.json", "llm-examples-1/0.parquet", "slm-1/x"):
        run.path("train", name).parent.mkdir(parents=True, exist_ok=True)
        run.path("train", name).write_bytes(b"1")
    run.path("train", "llm-file").touch()  # no folder of ours
    run.remove_resume_files("llm-")
    assert names(run.path("train")) == ["llm-file", "llm-full-1", "llm-full-1/status.json", "slm-1", "slm-1/x"]
    run.remove_resume_files("slm-")
    run.remove_resume_files("slm-")
    assert names(run.path("train")) == ["llm-file", "llm-full-1", "llm-full-1/status.json"]
    Run(run.path("none")).remove_resume_files("slm-")


def test_a_folder_that_cannot_be_removed_ends_no_job(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").touch()
    run.path("train").mkdir(parents=True)
    run.path("train", "slm-1").symlink_to(tmp_path / "elsewhere")
    run.remove_resume_files("slm-")
    assert (tmp_path / "elsewhere" / "mine").exists()

"""Every control file, however it is damaged, is one line that names the file and the way on: exit code 2."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rayner.corpus.run_record import read_run_record, write_run_record
from rayner.errors import ConfigError, DamagedFileError, RaynerError
from rayner.llm.description import LlmDescription, read_llm_description, write_llm_description
from rayner.modeling.descriptions import write_description
from rayner.report.run_report import read_evaluation
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run
from rayner.runs.status import JobStatus, status_from_json
from rayner.steps.fusion_rules import read_tuned_fusion, write_tuned_fusion
from rayner.taggers.crf import CrfDescription, load_crf
from rayner.taggers.custom_tagger import CustomTaggerDescription, read_custom_description
from tests.corpus.test_run_record import RECORD
from tests.json_trees import changed, paths_in, value_at
from tests.report.records import make_evaluation
from tests.report.test_run_report import tuned_fusion


@dataclass(frozen=True)
class ControlFile:
    """write: writes a good file into a folder. read: reads it, as the package does."""

    name: str
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    has_version: bool = True


def write_evaluation(folder: Path) -> None:
    write_json(folder / "evaluation.json", make_evaluation().to_json())


def write_fusion(folder: Path) -> None:
    fusion = tuned_fusion()
    lexicon = dataclasses.replace(
        fusion.span_rule.lexicon, type_counts={"懷王": {"NR": 2}}, occurrence_counts={"懷王": 3}
    )
    write_tuned_fusion(
        Run(folder), dataclasses.replace(fusion, span_rule=dataclasses.replace(fusion.span_rule, lexicon=lexicon))
    )


def read_status(folder: Path) -> JobStatus:
    from rayner.cli.status import read_run_status

    return read_run_status(folder)


STATUS = JobStatus("pipeline", "here", 1, 0.0, 1.0, 5.0)
LLM = LlmDescription("base", None, "標註", ("NR",))
CLUSTERS = {"懷": [1, 2]}
FILES = {
    file.name: file
    for file in (
        ControlFile("run.json", lambda folder: write_run_record(folder, RECORD), read_run_record),
        ControlFile("evaluation.json", write_evaluation, lambda folder: read_evaluation(Run(folder))),
        ControlFile("fusion.json", write_fusion, lambda folder: read_tuned_fusion(Run(folder))),
        ControlFile(
            "steps/train_slm.json",
            lambda folder: Run(folder).run_step("train_slm", {"seed": 1}, lambda: {"digest": "ab"}),
            lambda folder: Run(folder).run_step("train_slm", {"seed": 1}, lambda: pytest.fail("done again")),
        ),
        ControlFile("status.json", lambda folder: write_json(folder / "status.json", dataclasses.asdict(STATUS)),
                    read_status, has_version=False),
        ControlFile("llm.json", lambda folder: write_llm_description(folder, LLM), read_llm_description),
        ControlFile("crf.json", lambda folder: write_description(
                        folder / "crf.json", CrfDescription(("O", "S-NR"), "懷王", CLUSTERS, "0" * 64), 1),
                    load_crf),
        ControlFile("rayner.json", lambda folder: write_description(
                        folder / "rayner.json", CustomTaggerDescription(("O", "S-NR"), "懷王"), 1),
                    read_custom_description),
    )
}  # fmt: skip


def folder_with(file: ControlFile, tmp_path: Path) -> Path:
    file.write(tmp_path)
    return tmp_path


def version_of(path: Path) -> int:
    return {"llm.json": 2, "fusion.json": 6, "evaluation.json": 5, "run.json": 3}.get(path.name, 1)


def replace_content(path: Path, harm: str) -> None:
    whole = path.read_bytes()
    contents = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "NULs": b"\0" * len(whole),
        "NULs at the end": whole[:-10] + b"\0" * 10,
        "null": b"null",
        "list": b"[]",
        "number": b"1",
        "text": b'"x"',
        "not UTF-8": whole.replace(b'"', b'"\xff', 1),
        "UTF-16": whole.decode().encode("utf-16"),
        "brackets": b"[" * 1_000_000,
        "objects": b'{"a":' * 1_000_000,
        "twice": whole + whole,
        "YAML": b"format_version: 1\n",
        "of another file": json.dumps({"format_version": version_of(path), "other": {}}).encode(),
    }
    if harm == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(contents[harm])


HARMS = ("empty", "half", "NULs", "NULs at the end", "null", "list", "number", "text", "not UTF-8", "UTF-16",
         "brackets", "objects", "twice", "YAML", "of another file", "a folder")  # fmt: skip


def message_of(file: ControlFile, folder: Path, expected: type[RaynerError] = DamagedFileError) -> str:
    with pytest.raises(expected) as caught:
        file.read(folder)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert str(folder / file.name) in message
    assert ": expected " in message
    assert ", found " in message
    assert message.isprintable(), message
    assert len(message) < 700
    return message


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_one_line(name, harm, tmp_path):
    folder = folder_with(FILES[name], tmp_path)
    replace_content(folder / name, harm)
    message = message_of(FILES[name], folder)
    assert "the file is damaged; restore it from a backup, or " in message


@pytest.mark.parametrize("version", [None, 0, 99, "1", [1], True])
@pytest.mark.parametrize("name", [name for name in FILES if FILES[name].has_version])
def test_another_version_is_one_line(name, version, tmp_path):
    path = folder_with(FILES[name], tmp_path) / name
    write_json(path, tree_of(path) | {"format_version": version})
    message = message_of(FILES[name], tmp_path, ConfigError)
    assert f"expected format_version {version_of(path)}, found " in message
    assert "use that version, or " in message


def tree_of(path: Path) -> Any:
    """Return the value in a control file without its digest, which a changed value would not have."""
    tree = json.loads(path.read_bytes())
    tree.pop("content_sha256", None)
    return tree


WRONG: dict[type, tuple[Any, ...]] = {
    str: (1, None, [], {}, True),
    int: ("1", None, [], {}, True),
    float: ("1", None, [], {}, True),
    bool: ("true", None, []),
    list: ("x", {}, 1, None),
    dict: ("x", [], 1, None),
}
# What another program decides (settings, the inputs and the result of a step, a rule's summary) is any JSON value.
FREE = ("config", "inputs", "result", "rule")
OPTIONAL = ("adapter", "budget", "before", "by_type", "illegal", "illegal_sentences")  # null is allowed
STATUS_DEFAULTS = {field.name for field in dataclasses.fields(JobStatus) if field.default is not dataclasses.MISSING}
HAVE_DEFAULTS = {
    "run.json": {
        *("ignored", "records_sha256", "warnings", "markup", "files", "first_path", "example"),
        *("corrections", "total", "unmatched"),
        *("scripts", "labelled", "corpus", "is_matched", "traditional", "simplified"),
    },
    "evaluation.json": {"calibration", "budget"},
    "status.json": STATUS_DEFAULTS,
}
MAY_BE_NULL = {
    ("run.json", "llm_worth"),
    ("evaluation.json", "regions"),
    ("evaluation.json", "names"),
}  # without an LLM, without training text
COMPUTED = ("precision", "recall", "f1")  # written beside the counts that they follow from, and not read


def is_free(path: tuple[Any, ...]) -> bool:
    return (path[0] in FREE and len(path) > 1) or path[0] == "format_version" or path[-1] in COMPUTED


@pytest.mark.parametrize("name", FILES)
def test_a_value_of_another_type_is_named(name, tmp_path):
    """Every key of the file in turn, at every depth; of a list, the first item alone.

    The systems of an evaluation are records of one class. So the keys of the first get every wrong type, those of the
    others one.
    """
    path = folder_with(FILES[name], tmp_path) / name
    tree, n = tree_of(path), 0
    first_system = next(iter(tree.get("systems", {})), None)
    for keys in paths_in(tree, max_items=1):
        value = value_at(tree, keys)
        if not keys or is_free(keys) or value is None:
            continue
        is_of_another_system = keys[0] == "systems" and len(keys) > 1 and keys[1] != first_system
        for wrong in WRONG[type(value)][: 1 if is_of_another_system else None]:
            if wrong is None and (keys[-1] in OPTIONAL or (name, keys[-1]) in MAY_BE_NULL):
                continue
            path.write_text(json.dumps(changed(tree, keys, wrong)))
            message = message_of(FILES[name], tmp_path)
            assert str(keys[-1]) in message, (keys, wrong)
            n += 1
    assert n >= 8


@pytest.mark.parametrize("name", FILES)
def test_a_missing_key_is_named(name, tmp_path):
    path = folder_with(FILES[name], tmp_path) / name
    tree = tree_of(path)
    for key in set(tree) - {"format_version"}:
        path.write_text(json.dumps(changed(tree, (key,), ...)))
        if key in HAVE_DEFAULTS.get(name, ()):
            FILES[name].read(tmp_path)
        else:
            assert f"expected the key {key}, found none" in message_of(FILES[name], tmp_path)


@pytest.mark.parametrize(
    ("name", "path", "value", "found"),
    [
        ("fusion.json", ("chosen",), "best", r"chosen: expected characters \| regions \| spans, found the text 'best'"),
        ("fusion.json", ("region_rule", "entropy_reduction"), "median",
         r"region_rule: entropy_reduction: expected mean \| max, found the text 'median'"),
        ("fusion.json", ("span_rule", "weights"), [0.5], r"span_rule: weights: expected \d+ numbers, found 1"),
        ("fusion.json", ("span_rule", "candidate_scores"), True, r"span_rule: weights: expected \d+ numbers, found"),
        ("fusion.json", ("span_rule", "threshold"), 1, "span_rule: threshold: expected a number between 0 and 1"),
        ("status.json", ("state",), "asleep", r"state: expected running \| done \| failed \| stopped, found the text"),
        ("status.json", ("done",), 10**16, r"done: expected a number below 1e\+15, found the number 1000"),
        ("status.json", ("host",), "\ud800", "half a surrogate pair"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_named(name, path, value, found, tmp_path):
    file = folder_with(FILES[name], tmp_path) / name
    file.write_text(json.dumps(changed(json.loads(file.read_bytes()), path, value)))
    with pytest.raises(DamagedFileError, match=found):
        FILES[name].read(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_good_file_is_read(name, tmp_path):
    path = folder_with(FILES[name], tmp_path) / name
    if name == "crf.json":  # the description is read, then the model's file is missed
        with pytest.raises(ConfigError, match=r"expected a trained CRF, found: .*model\.crfsuite"):
            load_crf(tmp_path)
        return
    assert FILES[name].read(tmp_path) is not None
    if name == "status.json":
        assert status_from_json(tree_of(path) | {"new": 1}, "f") == STATUS

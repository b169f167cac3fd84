"""`run.json` reads back as it was written; a file of another version is refused in one message."""

from dataclasses import replace

import pytest

from rayner.corpus.run_record import CorpusCounts, RunRecord, read_run_record, write_run_record
from rayner.errors import ConfigError, DamagedFileError
from rayner.fusion.control import LlmWorth
from rayner.runs.json_files import read_checked_json, write_json

COUNTS = CorpusCounts(
    documents=1, characters=9, segments=2, gated=1, set_aside=0, passes=3, entities=1, decided_by={"agree": 1},
    unknown_share=0.5,
)  # fmt: skip
RECORD = RunRecord(
    config={"seed": 13}, config_digest="0123456789ab", version="1.0", inputs={"engine": "transformers"},
    models={"train_slm": "ab"}, rule={"kind": "regions", "weight": 0.3}, basis="allowed", counts=COUNTS,
    unread={"a.txt": "no UTF-8"}, empty=[], changed={}, asks_llm=True, llm="the LLM is asked",
    llm_worth=LlmWorth(9, 0.8, 0.77, 0.03, (0.01, 0.05)),
    seconds=1.5,
)  # fmt: skip


def test_a_record_reads_back_as_it_was_written(tmp_path):
    write_run_record(tmp_path, RECORD)
    assert read_run_record(tmp_path) == RECORD


def test_without_test_sentences_the_worth_of_the_llm_is_null(tmp_path):
    unknown = replace(RECORD, llm_worth=None)
    write_run_record(tmp_path, unknown)
    assert read_checked_json(tmp_path / "run.json")["llm_worth"] is None
    assert read_run_record(tmp_path) == unknown


@pytest.mark.parametrize("version", [None, 0, 99])
def test_another_version_is_refused_with_the_file_and_what_to_do(tmp_path, version):
    write_run_record(tmp_path, RECORD)
    content = read_checked_json(tmp_path / "run.json") | {"format_version": version}
    write_json(tmp_path / "run.json", content)
    with pytest.raises(
        ConfigError, match=r"run\.json: expected format_version 3, found .*rerun the job that tagged the corpus"
    ):
        read_run_record(tmp_path)


def test_other_keys_are_refused(tmp_path):
    write_json(tmp_path / "run.json", {"format_version": 3, "counts": {}})
    with pytest.raises(DamagedFileError, match=r"run\.json: expected the key config, found none"):
        read_run_record(tmp_path)

"""llm.json is read back as it was written; anything else is one clear error."""

import json

import pytest

from rayner.errors import ConfigError, DamagedFileError
from rayner.llm.description import LlmDescription, read_llm_description, write_llm_description

DESCRIPTION = LlmDescription("base", "adapter", "標注：", ("NR", "NS"))


@pytest.mark.parametrize("description", [DESCRIPTION, LlmDescription("Qwen/Qwen2.5-0.5B", None, "", ()),
                                         LlmDescription("base", "adapter", "", ("NR",), "confidence")])  # fmt: skip
def test_what_is_written_is_read_back(description, tmp_path):
    write_llm_description(tmp_path, description)
    assert read_llm_description(tmp_path) == description
    assert description.has_own_base == (description.base == "base")


def test_an_llm_that_saw_no_hint_is_described_as_before_there_were_any(tmp_path):
    write_llm_description(tmp_path, DESCRIPTION)
    assert "hint" not in json.loads((tmp_path / "llm.json").read_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 1}, "expected format_version 2, found version 1"),
        ({"format_version": None}, "expected format_version 2, found a file without one"),
        ({"types": None}, r"llm\.json: expected the key types, found none"),
    ],
)
def test_another_version_and_a_missing_field_are_errors(change, message, tmp_path):
    write_llm_description(tmp_path, DESCRIPTION)
    path = tmp_path / "llm.json"
    fields = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not None or key == "adapter"}))
    with pytest.raises((ConfigError, DamagedFileError), match=message):
        read_llm_description(tmp_path)


def test_a_folder_without_one_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="expected a fine-tuned LLM, found: "):
        read_llm_description(tmp_path)

"""What a dry run and the doctor say of a checkpoint folder, by the headers of its weights alone."""

import json
import re
import shutil
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from rayner.checkpoints.weight_files import check_checkpoint_and_read_weight_facts, read_safetensors_header
from rayner.errors import ConfigError, DataError
from tests.fetching.conftest import catch_message, pickle_weights, write_bert, write_qwen, write_shards


@pytest.fixture
def folder(tmp_path):
    write_qwen(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def sharded(folder):
    """The same in three files."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    write_shards(tensors, folder / "model.safetensors", 3, partial(save_file, metadata={"format": "pt"}))
    return folder


def refused(folder):
    return catch_message((ConfigError, DataError), check_checkpoint_and_read_weight_facts, folder)


def test_the_headers_tell_what_torch_reads(folder):
    tensors = load_file(folder / "model.safetensors")
    facts = check_checkpoint_and_read_weight_facts(folder)
    assert (facts.n_files, facts.n_tensors, facts.dtypes) == (1, len(tensors), ("float32",))
    assert facts.n_parameters == sum(value.numel() for value in tensors.values())
    assert facts.n_bytes == sum(value.nbytes for value in tensors.values())
    found = read_safetensors_header(folder / "model.safetensors")
    assert {name: header.shape for name, header in found.items()} == {
        name: tuple(value.shape) for name, value in tensors.items()
    }


def test_several_files_are_one_checkpoint(folder, sharded):
    facts = check_checkpoint_and_read_weight_facts(sharded)
    assert facts.n_files == 3
    assert facts.dtypes == ("float32",)


def test_the_number_types_are_told_the_largest_first(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: value.bfloat16() if "norm" not in name else value for name, value in tensors.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert check_checkpoint_and_read_weight_facts(folder).dtypes == ("bfloat16", "float32")


@pytest.mark.parametrize("change", [-1, -1000, 1])
def test_a_file_of_another_size_than_its_header_says_is_refused(folder, change):
    path = folder / "model.safetensors"
    size = path.stat().st_size
    content = path.read_bytes()
    path.write_bytes(content[:change] if change < 0 else content + b"\0")
    assert refused(folder).startswith(f"{path}: expected {size:,} bytes, as its header says, found {size + change:,}: ")


@pytest.mark.parametrize("content", [b"", b"1234567", b"\x10" + b"\0" * 7, b"\xff" * 8, b"\x02" + b"\0" * 7 + b"[]",
                                     b"\x08" + b"\0" * 7 + b'{"a": 1}'])  # fmt: skip
def test_a_file_without_a_header_is_refused(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    assert refused(folder).startswith(f"{folder / 'model.safetensors'}: expected a header of safetensors, found ")


def test_a_pointer_of_git_lfs_is_named(folder):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 988097824\n"
    (folder / "model.safetensors").write_text(pointer)
    assert "a pointer of Git LFS: run `git lfs pull`" in refused(folder)


def test_a_missing_file_of_the_weights_is_named(sharded):
    (sharded / "model-00002-of-00003.safetensors").unlink()
    assert "expected 3 files of weights, as model.safetensors.index.json says, found no model-00002" in refused(sharded)


def test_a_file_of_another_checkpoint_is_noticed(sharded):
    shutil.copy(sharded / "model-00001-of-00003.safetensors", sharded / "model-00002-of-00003.safetensors")
    assert re.search(r"model-00002-of-00003.safetensors: expected the tensor .*, as model.*index", refused(sharded))


def test_a_folder_without_weights_or_tokenizer_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    assert "expected a tokenizer (tokenizer.json, vocab.txt" in refused(folder)
    (folder / "model.safetensors").unlink()
    assert "expected weights (model.safetensors or model.safetensors.index.json), found none" in refused(folder)


def test_a_folder_with_pickles_alone_is_told_how_to_convert_them(tmp_path):
    pickle_weights(tmp_path, write_bert(tmp_path))
    assert "`rayner fetch THIS_FOLDER NEW_FOLDER` converts them" in refused(tmp_path)


def test_an_unfinished_download_is_named(folder):
    (folder / ".download").mkdir()
    assert "a download that is not complete: run its `rayner fetch` again" in refused(folder)
    (folder / "rayner-checkpoint.json").write_text("{}")
    check_checkpoint_and_read_weight_facts(folder)


def test_weights_under_another_name_are_found_as_transformers_finds_them(folder):
    (folder / "model.safetensors").rename(folder / "own.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "transformers_weights": "own.safetensors"}))
    assert check_checkpoint_and_read_weight_facts(folder).n_files == 1


def test_the_weights_are_not_read(folder, tmp_path):
    """A file of 40 GB, all of it a hole, is checked in no time."""
    header = json.dumps(
        {"a": {"dtype": "BF16", "shape": [20_000_000_000], "data_offsets": [0, 40_000_000_000]}}
    ).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 40_000_000_000)
    facts = check_checkpoint_and_read_weight_facts(folder)
    assert (facts.n_parameters, facts.dtypes) == (20_000_000_000, ("bfloat16",))


def test_tensors_that_share_memory_are_written_in_full():
    from rayner.checkpoints.pickle_conversion import copy_shared_tensors

    whole = torch.arange(6.0).view(2, 3)
    written = copy_shared_tensors({"whole": whole, "again": whole, "row": whole[1], "turned": whole.T})
    assert len({value.data_ptr() for value in written.values()}) == 4
    assert all(value.is_contiguous() for value in written.values())
    assert torch.equal(written["turned"], whole.T)
    assert torch.equal(written["row"], torch.tensor([3.0, 4.0, 5.0]))

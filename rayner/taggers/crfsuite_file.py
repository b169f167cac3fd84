"""Read the weights in CRFsuite's model file. The library only prints them, rounded and slowly.

The file begins with a header; its 32-bit number at byte 28 is the offset of the features. There, the bytes `FEAT`, the
size and the number of features come first, then 20 bytes for each feature: type, source and target as 32-bit integers,
and the weight as a 64-bit float. All numbers are little-endian (crf1d_model.c).
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from rayner.errors import ConfigError, NotFiniteError

_HEADER_BYTES = 48
_OFFSET_FIELD = 28
_FEATURE = np.dtype([("type", "<i4"), ("source", "<i4"), ("target", "<i4"), ("weight", "<f8")])


def read_crf_weights(path: Path) -> npt.NDArray[np.float64]:
    """Return the weights of all state features and transitions, shape [n_features], in the order of the file.

    Raises ConfigError if the file is not a model of CRFsuite.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        file.seek(int.from_bytes(header[_OFFSET_FIELD : _OFFSET_FIELD + 4], "little"))
        chunk = file.read(12)
        n_features = int.from_bytes(chunk[8:], "little")
        is_model = (header[:4], header[8:12], chunk[:4]) == (b"lCRF", b"FOMC", b"FEAT")
        features = file.read(n_features * _FEATURE.itemsize) if is_model else b""
    if not is_model or len(features) != n_features * _FEATURE.itemsize:
        raise ConfigError(f"{path}: expected a model of CRFsuite, found another file: train the model again")
    weights: npt.NDArray[np.float64] = np.frombuffer(features, _FEATURE)["weight"]
    return weights


def require_finite_crf(path: Path) -> None:
    """Raise NotFiniteError, which names the file, if a weight of a CRF is NaN or infinite."""
    finite = np.isfinite(read_crf_weights(path))
    if not finite.all():
        raise NotFiniteError(
            f"{path}: expected finite weights, found NaN or infinity in {int((~finite).sum())} of {len(finite)}: the "
            "file is damaged, or its training diverged: restore it from a backup, or train the model again"
        )

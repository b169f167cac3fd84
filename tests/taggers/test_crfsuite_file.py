"""The weights of a CRF as they stand in CRFsuite's file; what is not finite there is refused."""

import shutil

import numpy as np
import pytest

from rayner.config.model_settings import CrfConfig
from rayner.errors import ConfigError, NotFiniteError
from rayner.taggers import crf as crfs
from rayner.taggers.crfsuite_file import read_crf_weights
from tests.checkpoints import spoil_crf


@pytest.fixture(scope="module")
def folder(sentences, labels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crf")
    crfs.train_crf(sentences[:60], labels, CrfConfig(max_iterations=10), folder)
    return folder


def test_the_weights_are_those_that_the_library_prints(folder):
    info = crfs.load_crf(folder).field.info()
    printed = sorted([*info.state_features.values(), *info.transitions.values()])
    assert len(printed) > 1000
    np.testing.assert_allclose(np.sort(read_crf_weights(folder / crfs.MODEL_FILE)), printed, atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_not_finite_is_refused_naming_the_file(folder, tmp_path, value):
    copy = shutil.copytree(folder, tmp_path / "slm")
    spoil_crf(copy, value)
    count = len(read_crf_weights(folder / crfs.MODEL_FILE))
    said = f"^{copy / crfs.MODEL_FILE}: expected finite weights, found NaN or infinity in 1 of {count}: "
    with pytest.raises(NotFiniteError, match=said) as caught:
        crfs.load_crf(copy)
    assert caught.value.exit_code == 1


def test_a_number_in_its_description_is_refused_naming_the_file(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "slm")
    path = copy / crfs.DESCRIPTION_FILE
    path.write_text(path.read_text(encoding="utf-8").replace('"clusters": {}', '"clusters": {"楚": [1e999]}'))
    with pytest.raises(NotFiniteError, match=f"^{path}: expected JSON, found 1e999, which is too large a number"):
        crfs.load_crf(copy)


@pytest.mark.parametrize("content", [b"", b"lCRF", b"x" * 200, b"lCRF" + b"\0" * 100])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "model.crfsuite"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{path}: expected a model of CRFsuite, found another file"):
        read_crf_weights(path)


def test_a_file_that_was_cut_off_is_refused(folder, tmp_path):
    content = (folder / crfs.MODEL_FILE).read_bytes()
    (tmp_path / "model.crfsuite").write_bytes(content[:5000])
    with pytest.raises(ConfigError, match="expected a model of CRFsuite, found another file"):
        read_crf_weights(tmp_path / "model.crfsuite")

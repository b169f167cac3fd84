"""NaN in the rule, the small model or the adapter, put into the files of a real run, which then tags a corpus.

And one character whose embedding is so large that the small model's sums overflow in the sentences that hold it.
"""

import sys

import pytest
import ray.cloudpickle
from safetensors.torch import load_file, save_file

from rayner.corpus.run_record import read_run_record
from rayner.errors import JobError, NotFiniteError
from rayner.runs.job_log import start_logging
from rayner.runs.run_folder import Run
from rayner.site.build import build_site
from rayner.steps.fusion_rules import read_tuned_fusion
from rayner.steps.loading import load_known_characters
from rayner.steps.score import predict_held_out_sentences
from rayner.steps.tag import actors
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.steps.training.train_llm import train_llm
from rayner.steps.training.train_slm import train_slm
from tests.checkpoints import spoil_weight
from tests.cluster.small import PLAIN_TEXT, copied, labelled_sentences, rows_of, with_settings
from tests.cluster.test_faults import tagging

pytestmark = pytest.mark.slow
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
ODD = "使者\ue0ff歸。"


class Counted(actors.UnitPredictor):
    """Prediction by actors that leave a trace of each start."""

    def __init__(self, job):
        with (job.attempts.folder.parent / "starts").open("a") as file:
            file.write("x")
        super().__init__(job)


@pytest.fixture
def spoiled(run, tmp_path):
    """A copy of the run, for a test to spoil."""
    return copied(run, tmp_path, "steps", "data", "models", "index", "fusion.json")


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "史.txt").write_text(PLAIN_TEXT * 100, encoding="utf-8")
    return folder


def files_of(out):
    return [path for name in ("segments", "entities", "units") for path in (out / name).glob("*")]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_rule_ends_the_job_naming_its_file(spoiled, config, corpus, tmp_path, number):
    path = spoiled.path("fusion.json")
    content, weight = path.read_text(), read_tuned_fusion(spoiled).region_rule.weight
    path.write_text(content.replace(f'"weight": {weight!r}', f'"weight": {number}', 1))
    assert path.read_text() != content
    with pytest.raises(NotFiniteError, match=f"^{path}: expected JSON, found {number}, which is ") as caught:
        tag_corpus(tagging(config, corpus, tmp_path / "out"), spoiled)
    assert caught.value.exit_code == 1
    assert files_of(tmp_path / "out") == []


@pytest.mark.parametrize("part", [("slm", "model.safetensors"), ("llm", "adapter", "adapter_model.safetensors")])
def test_weights_end_the_job_naming_file_and_tensor_before_the_first_unit(
    spoiled, config, corpus, tmp_path, monkeypatch, part
):
    monkeypatch.setattr(actors, "UnitPredictor", Counted)
    path = spoiled.path("models", *part)
    name = spoil_weight(path)
    changed = tagging(config, corpus, tmp_path / "out")
    with pytest.raises(JobError, match=f"^{path}: expected finite weights, found NaN or infinity in {name}: "):
        tag_corpus(changed, spoiled)
    assert files_of(tmp_path / "out") == []
    assert len((tmp_path / "out" / "starts").read_text()) == changed.score.actors


def overflow_unknown_characters(run):
    """Make the vector of unknown characters so large, though finite, that sums with it overflow."""
    path = run.path("models", "slm", "model.safetensors")
    tensors = load_file(path)
    tensors["bert.embeddings.word_embeddings.weight"][1] = 3e38  # [UNK]
    save_file(tensors, path, {"format": "pt"})


def known_text(run, config):
    """Labelled sentences, each one segment, all of whose characters the small model knows."""
    known = load_known_characters(config, run)
    assert ODD[2] not in known
    sentences = [sentence.text for sentence in labelled_sentences() if sentence.spans]
    chosen = [text for text in sentences if text.endswith("。") and all(char in known for char in text)]
    return "".join(dict.fromkeys(chosen))


def test_one_segment_is_set_aside_and_all_others_are_tagged_as_ever(spoiled, run, config, corpus, tmp_path):
    config = with_settings(config, "tag", max_set_aside=1.0)
    plain = known_text(run, config)
    text = plain + ODD + plain
    (corpus / "史.txt").write_text(text, encoding="utf-8")
    tag_corpus(tagging(config, corpus, tmp_path / "clean"), run)
    overflow_unknown_characters(spoiled)
    tag_corpus(tagging(config, corpus, tmp_path / "out"), spoiled)
    segments = rows_of(tmp_path / "out", "segments")
    start, end = len(plain), len(plain) + len(ODD)
    odd = [row for row in segments if row["error"]]
    assert [(row["start"], row["end"]) for row in odd] == [(start, end)]
    assert odd[0]["error"].startswith("slm: NotFiniteError: the small model's prediction for character ")
    assert len(segments) > 200
    clean = [row for row in rows_of(tmp_path / "clean", "entities") if not start <= row["start"] < end]
    assert clean
    # The LLM answers one sentence less, in other batches (method, section 6).
    for found, expected in zip(rows_of(tmp_path / "out", "entities"), clean, strict=True):
        assert found == {
            key: pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
            for key, value in expected.items()
        }


@pytest.mark.drill
def test_a_small_model_whose_training_diverges_is_not_saved(config, tmp_path, local_ray):
    changed = with_settings(config, "slm", lr=1e30, epochs=2)
    made = Run(tmp_path / "run")
    with pytest.raises(NotFiniteError, match=r"^SLM, epoch 1 of 2: .*the training diverges; lower slm\.lr") as caught:
        train_slm(changed, made)
    assert caught.value.exit_code == 1
    assert not made.path("models", "slm").exists()
    assert not made.has_step("train_slm")


@pytest.mark.drill
@pytest.mark.parametrize(("stage", "setting"), [("full", "full_lr"), ("lora", "lr")])
def test_an_llm_whose_training_diverges_is_not_saved(run, config, tmp_path, stage, setting):
    made = copied(run, tmp_path, "steps/data.json", "steps/build_index.json", "data", "models/slm", "index")
    changed = with_settings(config, "llm", **{setting: 1e30})
    where = rf"^LLM \({stage}\), epoch 1 of \d: .*the training diverges; lower llm\.{setting} "
    with pytest.raises(NotFiniteError, match=where):
        train_llm(changed, made)
    assert not made.path("models", "llm").exists()
    assert not made.has_step("train_llm")


def test_more_than_one_segment_in_a_hundred_ends_the_job_and_a_rerun_at_once(spoiled, config, corpus, tmp_path, caplog):
    config = with_settings(config, "tag", max_set_aside=1.0)
    overflow_unknown_characters(spoiled)
    text = known_text(spoiled, config)
    (corpus / "史.txt").write_text((text + ODD * 8) * 2, encoding="utf-8")
    out = tmp_path / "out"
    said = rf"^{out}: the predictions for \d+ of (\d+) segments are NaN or infinite \(allowed: 1%\)"
    with pytest.raises(NotFiniteError, match=said) as caught:
        tag_corpus(tagging(config, corpus, out), spoiled)
    assert caught.value.exit_code == 1
    assert not (out / "run.json").exists()
    committed = {path: path.stat().st_mtime_ns for path in files_of(out)}
    assert committed
    with caplog.at_level("INFO"):
        caplog.clear()
        with pytest.raises(NotFiniteError, match=said):
            tag_corpus(tagging(config, corpus, out), spoiled)
    assert "units are there already" in caplog.text
    assert "characters, starting" not in caplog.text
    # An actor of the first call may have committed a unit while Ray ended it.
    assert committed.items() <= {path: path.stat().st_mtime_ns for path in files_of(out)}.items()


def test_a_rule_is_not_tuned_where_many_held_out_sentences_have_no_finite_prediction(run, config, tmp_path):
    parts = ("steps/data.json", "steps/train_slm.json", "steps/build_index.json", "steps/train_llm.json")
    made = copied(run, tmp_path, *parts, "data", "models", "index")
    overflow_unknown_characters(made)
    with pytest.raises(NotFiniteError, match=r"^score: dev sentences: the predictions for \d+ of \d+ segments are NaN"):
        predict_held_out_sentences(config, made)
    assert not made.path("scores").exists()
    assert not made.has_step("score")


def test_a_corpus_in_which_a_model_finds_nothing_ends_with_a_warning(spoiled, config, corpus, tmp_path, capfd):
    path = spoiled.path("models", "slm", "model.safetensors")
    tensors = load_file(path)
    tensors["classifier.weight"].zero_()
    tensors["classifier.bias"][0] = 100  # O, everywhere
    save_file(tensors, path, {"format": "pt"})
    start_logging()
    tag_corpus(tagging(config, corpus, tmp_path / "out"), spoiled)
    n_chars = len(PLAIN_TEXT * 100)
    record = read_run_record(tmp_path / "out")
    assert [line.partition(": the tags")[0] for line in record.warnings] == [
        f"the small model found no entity in {n_chars:,} characters of the corpus",
        f"the fusion of both models found no entity in {n_chars:,} characters of the corpus",
    ]
    last_lines = capfd.readouterr().out.splitlines()[-2:]
    assert [line.partition("WARNING: ")[2] for line in last_lines] == record.warnings
    build_site(tmp_path / "out", tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert f"The small model found no entity in {n_chars:,} characters of the corpus" in page

"""What a finished or interrupted corpus suffers on disk is found, named and made again; real actors tag it."""

import re
import shutil
import sys
from dataclasses import replace

import pytest
import ray.cloudpickle

from rayner.cli import main
from rayner.config.corpus_settings import CorpusConfig
from rayner.corpus.unit_records import read_unit_record, write_unit_record
from rayner.errors import ConfigError, DataError, TooManySetAsideError
from rayner.runs.run_folder import Run
from rayner.steps.tag import actors
from rayner.steps.tag.recovery import forget_set_aside_units
from rayner.steps.tag.tag_corpus import tag_corpus
from tests.cluster.small import PLAIN_TEXT, files_of, rows_of, with_settings
from tests.folders import flip

pytestmark = pytest.mark.slow
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class FailingModel:
    """A tagger or an engine that fails for some texts."""

    def __init__(self, model):
        self.model = model

    def predict(self, texts):
        if any("毒" in text for text in texts):
            raise ValueError("no such text, please")
        return self.model.predict(texts)

    def answer_requests(self, requests):
        if any("毒" in request.text for request in requests):
            raise ValueError("no such request, please")
        return self.model.answer_requests(requests)


class FailingSlm(actors.UnitPredictor):
    """Prediction by such a tagger."""

    def __init__(self, job):
        super().__init__(job)
        self.slm.tagger = FailingModel(self.slm.tagger)


class FailingLlm(actors.UnitPredictor):
    """Prediction by such an engine."""

    def __init__(self, job):
        super().__init__(job)
        self.llm.engine = FailingModel(self.llm.engine)


@pytest.fixture(scope="module")
def tagged(run, config, tmp_path_factory):
    """The settings of a small corpus, and its undisturbed output."""
    folder = tmp_path_factory.mktemp("recovery")
    (folder / "corpus").mkdir()
    for i in range(4):
        (folder / "corpus" / f"{i}.txt").write_text(PLAIN_TEXT * 4 + "毒酒三升。" * (i == 2), encoding="utf-8")
    settings = replace(with_settings(config, "score", unit_chars=60), corpus=CorpusConfig(str(folder / "corpus")))
    settings = with_settings(settings, "gate", exact=False)  # the LLM is asked about every segment
    tag_corpus(replace(settings, out=str(folder / "undisturbed")), run)
    return settings, folder / "undisturbed"


@pytest.fixture
def again(tagged, run, tmp_path):
    """A copy of the corpus, and the call that tags it again."""
    settings, undisturbed = tagged
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    return out, lambda: tag_corpus(replace(settings, out=str(out)), run)


DAMAGES = {
    "flip": flip,
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
    "of another unit": lambda path: shutil.copy(path.with_name(path.name.replace("000002", "000001")), path),
}


@pytest.mark.drill
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["entities/unit-000002.parquet", "segments/unit-000002.parquet",
                                  "documents/unit-000002.parquet", "units/unit-000002.json"])  # fmt: skip
def test_a_damaged_file_is_named_and_made_again(tagged, again, caplog, damage, name):
    out, tag_again = again
    DAMAGES[damage](out / name)
    with caplog.at_level("INFO", logger="rayner"):
        tag_again()
    assert files_of(out) == files_of(tagged[1])
    if not (damage == "missing" and name.startswith("units")):
        assert f"{out / name}: expected" in caplog.text
    assert main(["verify", str(out)]) == 0


@pytest.mark.drill
@pytest.mark.parametrize("damage", ["flip", "empty", "missing"])
@pytest.mark.parametrize("name", ["plan/part-000000.parquet", "steps/plan.json", "steps/tag_corpus.json",
                                  "steps/evahan.json", "run.json", "lock.json"])  # fmt: skip
def test_a_damaged_control_file_is_made_again(tagged, again, damage, name):
    out, tag_again = again
    if name == "lock.json":
        (out / name).write_bytes(b"" if damage == "empty" else b'{"owner"')
    else:
        DAMAGES[damage](out / name)
    tag_again()
    assert files_of(out) == files_of(tagged[1])
    assert main(["verify", str(out)]) == 0


def test_a_flipped_bit_in_each_table_is_named_and_only_its_unit_is_made_again(tagged, again, caplog):
    out, tag_again = again
    names = ["entities/unit-000000.parquet", "segments/unit-000001.parquet", "documents/unit-000002.parquet",
             "units/unit-000003.json"]  # fmt: skip
    for name in names:
        flip(out / name)
    untouched = {
        path: path.stat().st_mtime_ns for path in out.glob("*/unit-000002.parquet") if "documents" not in str(path)
    }
    with caplog.at_level("INFO", logger="rayner"):
        tag_again()
    assert files_of(out) == files_of(tagged[1])
    assert all(f"{out / name}: expected" in caplog.text for name in names)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in untouched.items())
    assert main(["verify", str(out)]) == 0


def test_everything_damaged_at_once_is_made_again(tagged, again):
    out, tag_again = again
    for path in [*out.glob("*/*.parquet"), *out.glob("units/*.json"), *out.glob("steps/*.json")]:
        path.write_bytes(b"")
    tag_again()
    assert files_of(out) == files_of(tagged[1])


def test_documents_cannot_be_restored_from_a_corpus_that_has_changed(tagged, run, tmp_path):
    settings, undisturbed = tagged
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    shutil.copytree(settings.corpus.path, tmp_path / "corpus")
    flip(out / "documents" / "unit-000001.parquet")
    before = files_of(out)
    (tmp_path / "corpus" / "1.txt").write_text("另一文。", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds another corpus"):
        tag_corpus(replace(settings, corpus=CorpusConfig(str(tmp_path / "corpus")), out=str(out)), run)
    assert files_of(out) == before


def test_another_corpus_does_not_replace_one_whose_plan_is_damaged(tagged, again, run, tmp_path):
    settings, _ = tagged
    out, _ = again
    (out / "steps" / "plan.json").write_bytes(b"")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("另一文。", encoding="utf-8")
    before = files_of(out)
    with pytest.raises(ConfigError, match="its plan is damaged, and the tagged units were made from another corpus"):
        tag_corpus(replace(settings, corpus=CorpusConfig(str(tmp_path / "other")), out=str(out)), run)
    assert files_of(out) == before


def test_a_unit_made_from_other_inputs_is_refused(again):
    out, tag_again = again
    record = read_unit_record(out, "unit-000001")
    write_unit_record(out, replace(record, inputs="0" * 64, scores_inputs="0" * 64))
    with pytest.raises(ConfigError, match="unit-000001 was made from other inputs"):
        tag_again()


def test_readers_refuse_a_damaged_corpus_and_verify_names_each_file(again, capfd, tmp_path):
    out, _ = again
    for name in ("entities/unit-000001.parquet", "segments/unit-000002.parquet"):
        flip(out / name)
    assert main(["export", str(out), "--to", "jsonl", str(tmp_path / "export")]) == 2
    assert main(["view", str(out), "--out", str(tmp_path / "site")]) == 2
    assert capfd.readouterr().err.count("expected the file that was written, found another content") == 2
    assert main(["verify", str(out)]) == 2
    err = capfd.readouterr().err
    assert "entities/unit-000001.parquet: expected the file" in err
    assert "segments/unit-000002.parquet: expected the file" in err


def test_verify_knows_the_run(tagged, again, run, capsys, tmp_path):
    out, _ = again
    assert main(["verify", str(out), "--run", str(run.root)]) == 0
    assert re.search(r"undamaged: 4 documents, 197 characters, 33 segments \(0 set aside\)", capsys.readouterr().out)
    other = tmp_path / "other"
    shutil.copytree(run.root, other)
    (other / "fusion.json").write_text((other / "fusion.json").read_text() + "\n")
    assert main(["verify", str(out), "--run", str(other)]) == 2
    assert "expected the run whose fusion has the digest" in capsys.readouterr().err


@pytest.mark.parametrize(("predictor", "reason"), [
    pytest.param(FailingSlm, "slm: ValueError: no such text, please", marks=pytest.mark.drill),
    (FailingLlm, "llm: ValueError: no such request, please"),
])  # fmt: skip
def test_what_was_set_aside_is_tried_again_and_leaves_no_trace(
    tagged, run, tmp_path, monkeypatch, caplog, predictor, reason
):
    settings, undisturbed = tagged
    settings = replace(settings, out=str(tmp_path / "out"))
    with monkeypatch.context() as patch:
        patch.setattr(actors, "UnitPredictor", predictor)
        with pytest.raises(TooManySetAsideError, match="again with --retry-set-aside"):
            tag_corpus(settings, run)
    out = tmp_path / "out"
    [aside] = [row for row in rows_of(out, "segments") if row["error"]]
    assert (aside["doc_id"], aside["error"]) == ("2", reason)
    with pytest.raises(TooManySetAsideError):  # a plain rerun does not try again
        tag_corpus(settings, run)
    damaged = out / "segments" / f"{aside['unit']}.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    forget_set_aside_units(settings, run)
    assert f"{damaged}: expected the file that was written" in caplog.text
    assert not (out / "run.json").exists()
    tag_corpus(settings, run)
    assert files_of(out) == files_of(undisturbed)
    assert main(["verify", str(out)]) == 0
    before = files_of(out)
    forget_set_aside_units(settings, run)  # nothing is set aside any more
    assert (out / "run.json").exists()
    assert files_of(out) == before


def test_a_segment_on_which_only_the_llm_failed_keeps_the_small_models_entities(tagged, run, tmp_path, monkeypatch):
    settings, _ = tagged
    text = "毒北渚王入石渚。"
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text(text * 3, encoding="utf-8")
    settings = with_settings(replace(settings, corpus=CorpusConfig(str(tmp_path / "corpus"))), "tag", max_set_aside=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(actors, "UnitPredictor", FailingLlm)
        tag_corpus(replace(settings, out=str(tmp_path / "out")), run)
    from rayner.steps.loading import load_tagger

    spans = load_tagger(settings, run).predict([text])[0].spans
    expected = [(8 * i + span.start, span.type, "slm") for i in range(3) for span in spans]
    entities = rows_of(tmp_path / "out", "entities")
    assert [(row["start"], row["type"], row["decided_by"]) for row in entities] == expected
    assert len(expected) > 0
    assert all(row["error"] for row in rows_of(tmp_path / "out", "segments"))


def test_a_corpus_without_records_is_read_with_a_warning(again, caplog, tmp_path):
    out, _ = again
    shutil.rmtree(out / "units")
    assert main(["export", str(out), "--to", "jsonl", str(tmp_path / "export")]) == 0
    assert "damage to the tables would not be noticed" in caplog.text
    with pytest.raises(DataError, match="expected the record of a unit, found none"):
        read_unit_record(out, "unit-000000")
    assert Run(out).has_step("plan")

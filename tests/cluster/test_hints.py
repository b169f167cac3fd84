"""An LLM sees what the small model says: in training, what a small model says that did not train on the sentence."""

from dataclasses import replace

import pytest

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.model_settings import CrfConfig, IndexConfig
from rayner.corpus.prediction_tables import read_predictions
from rayner.decoding.engine import WindowRequest
from rayner.decoding.greedy import GreedyEngine
from rayner.errors import ConfigError
from rayner.fusion.model_confidence import build_slm_hint
from rayner.llm.description import read_llm_description
from rayner.runs.run_folder import Run
from rayner.steps import data
from rayner.steps.llm_loading import load_answer_engine, load_llm
from rayner.steps.pipeline import run_pipeline
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.steps.training import cross_fit_slm as cross_fitting
from rayner.steps.training.cross_fit_slm import cross_fit_slm, fold_run
from rayner.steps.training.sft_examples import SftExampleWriter, SftSource, read_sft_examples
from rayner.steps.training.train_slm import train_slm
from rayner.text.markup import escape_char
from tests.cluster.small import ONE, PLAIN_TEXT, copied, rows_of, stamps, with_settings
from tests.decoding.test_draft_verify import same

pytestmark = pytest.mark.slow
N_FOLDS = 2


@pytest.fixture(scope="module")
def hinted(config, local_ray, tmp_path_factory):
    """A run that was interrupted between two folds and given again. Its LLM has learned for two steps."""
    folder = tmp_path_factory.mktemp("hinted")
    (folder / "corpus").mkdir()
    (folder / "corpus" / "史.txt").write_text(PLAIN_TEXT * 12, encoding="utf-8")
    (folder / "corpus" / "長.txt").write_text(PLAIN_TEXT.replace("。", "，") * 9 + "。", encoding="utf-8")
    made = replace(
        config,
        run=str(folder / "run"),
        corpus=CorpusConfig(str(folder / "corpus")),
        index=IndexConfig(encoder="ngrams"),
    )
    made = with_settings(made, "slm", family="crf", crf=CrfConfig(max_iterations=20))
    made = with_settings(
        made, "llm", hint="confidence", hint_folds=N_FOLDS, examples="none", full_epochs=1, epochs=0,
        max_steps_per_epoch=2, workers=ONE, max_chars=30, overlap=8,
    )  # fmt: skip
    made = with_settings(
        made, "fusion", entropy_reduction=["mean"], llm_reduction=["product"], llm_confidence=["slots"]
    )
    made = with_settings(with_settings(made, "score", unit_chars=60), "tag", max_segment_chars=50)
    run, real = Run(folder / "run"), cross_fitting._predict_fold

    def interrupt(config, fold, inputs):
        if fold.root.name == "1":
            raise KeyboardInterrupt
        return real(config, fold, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_fitting, "_predict_fold", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_pipeline(made, run)
    assert not run.has_step("cross_fit_slm")
    done = stamps(run.root, "slm_folds/0", "slm_folds/1/models")
    assert len(done) > 5
    run_pipeline(made, run)
    assert stamps(run.root, "slm_folds/0", "slm_folds/1/models") == done
    return made, run


def texts(run, part):
    return {sentence.text for sentence in data.read_part(run, part)}


def predictions_of(run):
    return [
        row for i in range(N_FOLDS) for row in read_predictions(run.path("slm_folds", str(i), "scores/fold.parquet"))
    ]


def test_every_training_sentence_is_predicted_by_a_small_model_that_did_not_see_it(hinted):
    _, run = hinted
    folds = [fold_run(run, i) for i in range(N_FOLDS)]
    assert texts(folds[0], "fold") | texts(folds[1], "fold") == texts(run, "train")
    for fold in folds:
        assert not texts(fold, "fold") & texts(fold, "train")
        assert texts(fold, "fold") | texts(fold, "train") == texts(run, "train")
        assert texts(fold, "dev") == texts(run, "dev")
        assert fold.step_result("train_slm")["digest"] != run.step_result("train_slm")["digest"]
    rows, gold = predictions_of(run), data.read_part(run, "train")
    assert sorted((row.text, row.gold) for row in rows) == sorted((e.text, e.spans) for e in gold)
    f1 = run.step_result("cross_fit_slm")["f1"]
    assert 0.1 < f1 < 0.95  # on what a model was trained on, it is nearly 1


def test_an_interrupted_step_leaves_the_predictions_of_one_that_was_not(hinted, tmp_path):
    config, run = hinted
    before = stamps(run.root, "slm_folds", "steps", "models")
    run_pipeline(config, run)
    assert stamps(run.root, "slm_folds", "steps", "models") == before
    again = copied(run, tmp_path, "data", "models", "steps")
    again.forget_step("cross_fit_slm")
    assert cross_fit_slm(config, again)["digests"] == run.step_result("cross_fit_slm")["digests"]


def markup(row, hint, start, end):
    """The characters [start, end) as the small model tagged them, with its confidences."""
    opens = {e.span.start: f"<{e.span.type}>" for e in hint if start <= e.span.start and e.span.end <= end}
    closes = {
        e.span.end: f"</{e.span.type}>" + (f"（{round(10 * e.confidence) * 10}%）" if e.confidence < 0.95 else "")
        for e in hint
        if start <= e.span.start and e.span.end <= end
    }
    chars = [f"{closes.get(i, '')}{opens.get(i, '')}{escape_char(row.text[i])}" for i in range(start, end)]
    return "".join([*chars, closes.get(end, "")])


def test_the_llm_learns_the_gold_tags_from_prompts_with_these_predictions(hinted, tmp_path):
    config, run = hinted
    llm, rows = load_llm(config, run), {row.text: row for row in predictions_of(run)}
    assert read_llm_description(run.path("models", "llm")).hint == "confidence"
    source = SftSource(config, run, str(run.path("models", "llm", "base")), "train", tmp_path)
    writer = SftExampleWriter(source)  # the training's own examples are removed when it is done
    for name in writer.files:
        assert "failure" not in writer({"file": name})
    examples = read_sft_examples(tmp_path)
    prompts = {llm.tokenizer.tokenizer.decode(examples[i].prompt) for i in range(len(examples))}
    wrong = 0
    for row in rows.values():
        hint = build_slm_hint(row.slm, run.entity_types())
        assert tuple(entity.span for entity in hint) == row.slm.spans
        wrong += row.slm.spans != row.gold
        expected = markup(row, hint, 0, min(30, len(row.text)))  # of a long sentence, the first window
        assert any(f"初標：{expected}\n答：" in prompt for prompt in prompts), expected
    assert wrong > 20
    assert all(prompt.count("初標：") == 1 for prompt in prompts)


def test_held_out_sentences_are_answered_with_the_small_models_prediction_of_them(hinted):
    config, run = hinted
    llm, types = load_llm(config, run), run.entity_types()
    rows = [row for row in read_predictions(run.path("scores/dev.parquet")) if 0 < len(row.text.strip()) <= 30][:25]
    assert any(row.slm.spans for row in rows)
    assert all(row.text == row.text.lstrip() for row in rows)
    requests = [WindowRequest(row.text.strip(), hint=build_slm_hint(row.slm, types)) for row in rows]
    engine = GreedyEngine(llm, softmax_over=config.llm.softmax_over, batch_size=8)
    for row, found in zip(rows, engine.answer_requests(requests), strict=True):
        same(row.llm, found.pad(0, len(row.text) - len(row.text.strip())))


def test_the_gate_and_actors_that_hold_the_small_model_apart_change_no_entity(hinted, tmp_path):
    config, run = hinted
    bare = with_settings(with_settings(config, "gate", exact=False), "score", slm=replace(config.score.slm, actors=1))
    tag_corpus(replace(bare, out=str(tmp_path / "bare")), run)
    found, expected = rows_of(tmp_path / "bare", "entities"), rows_of(run.path("tagged"), "entities")
    assert len(expected) > 10
    names = ("doc_id", "start", "end", "type")
    assert [[row[name] for name in names] for row in found] == [[row[name] for name in names] for row in expected]
    assert [row["score"] for row in found] == pytest.approx([row["score"] for row in expected], abs=1e-5)


def test_an_llm_is_not_asked_with_another_hint(hinted):
    config, run = hinted
    for other in ("none", "tags"):
        with pytest.raises(ConfigError, match=rf"^llm.hint: expected confidence, .* found {other}: "):
            load_answer_engine(with_settings(config, "llm", hint=other), run)


def test_the_folds_of_a_fold_leave_its_own_sentences_out(hinted, tmp_path):
    """With `split.folds`, the LLM of a fold learns from small models that saw neither the fold nor the sentence."""
    config, _ = hinted
    config, outer = with_settings(config, "split", folds=2), Run(tmp_path / "outer")
    train_slm(config, outer, fold=0)
    assert sum(cross_fit_slm(config, outer)["sentences"]) == len(data.read_part(outer, "train"))
    for i in range(N_FOLDS):
        inner = fold_run(outer, i)
        assert not (texts(inner, "train") | texts(inner, "fold")) & texts(outer, "fold")
        assert texts(inner, "train") | texts(inner, "fold") == texts(outer, "train")

"""Which training sentences the prompts of a run show, in training and in tagging."""

from dataclasses import replace

import pytest

from rayner.config.settings import Config
from rayner.corpus.labelled_sentences import write_labelled_sentences
from rayner.decoding.greedy import GreedyEngine
from rayner.decoding.long_texts import TextRequest, answer_texts
from rayner.llm.index import build_sentence_index, save_sentence_index
from rayner.llm.sentence_encoders import NgramEncoder
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run, folder_sha256
from rayner.runs.step_manifest import StepManifest
from rayner.steps.llm_loading import load_retriever
from rayner.steps.training.sft_examples import SftSource, build_group_examples
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span

MAX_CHARS = 20
LONG = "楚使怒去歸告懷王懷王怒大興師伐秦秦發兵擊之大破楚師於丹淅斬首八萬"
SHORT = ("楚王。", "懷王怒。", "秦發兵擊之。")


@pytest.fixture(params=["similar", "fixed"])
def config(request):
    config = Config(device="cpu")
    return replace(
        config,
        llm=replace(config.llm, examples=request.param, max_chars=MAX_CHARS, overlap=5),
        index=replace(config.index, encoder="ngrams", k=2),
    )


@pytest.fixture
def run(tmp_path):
    """A run whose training sentences are three short ones, and a long one that stands in the files twice."""
    made = Run(tmp_path / "run")
    texts = [LONG, *SHORT, LONG]
    train = [LabelledSentence(text, (Span(0, 1, "NG"), *([Span(2, 3, "T")] * (text == LONG)))) for text in texts]
    made.path("data").mkdir(parents=True)
    write_labelled_sentences(made.path("data", "train.jsonl"), train)
    save_sentence_index(build_sentence_index(NgramEncoder(), train, 4), made.path("index"))
    facts = {"digest": folder_sha256(made.path("index"))}
    write_json(made.path("steps", "build_index.json"), StepManifest({}, facts).to_json())
    return made


class RecordingEngine(GreedyEngine):
    """The engine of the reference; it also keeps the requests."""

    def answer_requests(self, requests):
        self.requests = [*requests]
        return super().answer_requests(requests)


def test_no_window_of_a_training_sentence_is_shown_the_sentence_when_a_text_is_tagged(run, config, random_llm):
    engine = RecordingEngine(random_llm, softmax_over="allowed", batch_size=4)
    answer_texts(engine, [TextRequest(LONG)], retriever=load_retriever(config, run), max_chars=MAX_CHARS, overlap=5)
    shown = [[example.text for example in request.examples] for request in engine.requests]
    assert len(shown) == 2
    assert all(len(texts) == 2 and set(texts) <= {*SHORT} for texts in shown), shown


@pytest.mark.parametrize("group", [1, 2])
def test_no_window_of_a_training_sentence_is_shown_the_sentence_in_training(run, config, random_llm, group):
    config = replace(config, prompt=replace(config.prompt, group=group))
    source = SftSource(config, run, "unused", "train", run.path("train"))
    groups = source.read_sentence_groups()
    windows = [sentence.text for group in groups for sentence in group]
    assert sum(text in LONG for text in windows) == 4
    examples = build_group_examples(random_llm, load_retriever(config, run), groups)
    for text, example in zip(windows, examples, strict=True):
        prompt = example.prompt[: -len(random_llm.query_tokens(text))]
        shown = random_llm.tokenizer.tokenizer.decode(prompt).removeprefix("標注：\n").splitlines()
        assert 1 <= len(shown) <= 2
        assert all(len(line) < MAX_CHARS for line in shown), shown  # "<NG>" and "</NG>" counted

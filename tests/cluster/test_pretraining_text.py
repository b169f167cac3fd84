"""Which texts of a corpus are pretrained on, and what the checks refuse before anything is trained."""

import dataclasses
import json

import pytest
import ray

from rayner.cli import main
from rayner.config.corpus_settings import CorpusConfig
from rayner.config.pretrain_settings import PretrainConfig
from rayner.config.settings import Config
from rayner.corpus.labelled_sentences import write_labelled_sentences
from rayner.errors import ConfigError, DataError
from rayner.modeling.scratch import make_encoder_tokenizer, write_scratch_encoder
from rayner.modeling.tokenizer import CharTokenizer
from rayner.pretraining.text_windows import TextWindows
from rayner.runs.run_folder import Run
from rayner.steps.pretraining.text import survey_text, write_text_windows
from rayner.text.labelled_text import LabelledSentence
from tests.cluster.small import SHAPE
from tests.folders import snapshot

SENTENCES = ["楚使怒去歸告懷王發兵攻秦。", "秦發兵擊之大破楚師於丹淅。", "斬首八萬。"]
TEXTS = {
    "史/一.txt": f"曰{SENTENCES[0]}是歲大旱。",
    "史/二.txt": f"{SENTENCES[1][1:]}是歲。",  # exactly twelve characters
    "史/三.txt": f"{SENTENCES[1][2:]}是歲。",  # eleven
    "史/四.txt": f"{SENTENCES[2]}是歲。",
    "史/五.txt": "楚使怒去归告怀王發兵攻秦。",
    "壞.txt": b"\x80\xff",
    "空.txt": "",
}


@pytest.fixture
def config(tmp_path):
    """A corpus, and labelled sentences in both forms."""
    for name, text in TEXTS.items():
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    lines = "".join(f"{char}\tO\n" for char in "".join(SENTENCES))
    (tmp_path / "labelled.txt").write_text(lines, encoding="utf-8")
    write_labelled_sentences(tmp_path / "dev.jsonl", [LabelledSentence(text, ()) for text in SENTENCES])
    (tmp_path / "variants.txt").write_text("归歸\n怀懷\n", encoding="utf-8")
    return Config(
        corpus=CorpusConfig(str(tmp_path / "corpus")), run=str(tmp_path / "run"), out=str(tmp_path / "out"),
        pretrain=PretrainConfig(scratch=SHAPE, window_tokens=10),
    )  # fmt: skip


def excluding(config, tmp_path, *names, **settings):
    exclude = [str(tmp_path / name) for name in names]
    return dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, exclude=exclude, **settings))


def test_without_labelled_files_no_text_is_left_out_and_what_cannot_be_read_is_named(config, tmp_path):
    text = survey_text(config)
    assert text.facts.left_out == ()
    assert text.facts.documents == 6
    assert (
        text.facts.characters == sum(len(t) for t in TEXTS.values() if isinstance(t, str)) == text.char_counts.total()
    )
    assert [*text.facts.unread] == [str(tmp_path / "corpus" / "壞.txt")]
    assert any("壞.txt" in line for line in text.describe())


@pytest.mark.parametrize("name", ["labelled.txt", "dev.jsonl"])
def test_texts_that_share_twelve_characters_with_a_sentence_are_left_out_counted_and_named(config, tmp_path, name):
    facts = survey_text(excluding(config, tmp_path, name)).facts
    assert facts.left_out == ("史/一", "史/二")
    assert facts.left_out_characters == len(TEXTS["史/一.txt"]) + len(TEXTS["史/二.txt"])
    assert (facts.documents, facts.labelled_sentences, facts.short_sentences) == (4, 3, 1)
    told = survey_text(excluding(config, tmp_path, name)).describe()
    assert "left out: 史/一" in told
    assert "left out: 史/二" in told
    assert any(line.startswith("left out: 2 texts with ") for line in told)


def test_variants_are_unified_for_the_comparison_only(config, tmp_path):
    text = survey_text(excluding(config, tmp_path, "dev.jsonl", variants=str(tmp_path / "variants.txt")))
    assert text.facts.left_out == ("史/一", "史/二", "史/五")
    plain = survey_text(excluding(config, tmp_path, "dev.jsonl"))
    assert plain.char_counts["归"] == 1  # unchanged
    assert plain.facts.labelled_digest == text.facts.labelled_digest
    assert plain.facts.digest == text.facts.digest


def test_the_windows_hold_the_texts_that_are_left_and_nothing_of_the_others(config, tmp_path):
    settings, run = excluding(config, tmp_path, "dev.jsonl"), Run(tmp_path / "run")
    text = survey_text(settings)
    left = [t for name, t in TEXTS.items() if isinstance(t, str) and name[:-4] not in text.facts.left_out]
    tokenizer = CharTokenizer(make_encoder_tokenizer(sorted(text.char_counts)))
    n_windows = write_text_windows(settings, run, text, tokenizer)
    windows = TextWindows(run.local_path("data", "windows"))
    assert len(windows) == n_windows
    tokens = windows.read(windows_range(n_windows)).reshape(-1).tolist()
    chars = tokenizer.tokenizer.convert_ids_to_tokens(tokens)
    # In the order of the corpus; the last window may repeat what stands before.
    joined = "".join(f"{t}|" for t in (TEXTS[name] for name in sorted_names(TEXTS)) if t in left)
    read = "".join("|" if char == "[SEP]" else char for char in chars)
    whole = len(joined) // 8 * 8
    assert read[:whole] == joined[:whole]
    assert read[-8:] == joined[-8:]
    assert text.char_counts.total() == len(joined) - len(left)


def windows_range(n):
    import numpy as np

    return np.arange(n)


def sorted_names(names):
    return sorted(name for name in names)


def test_a_file_that_changes_between_the_readings_is_noticed(config, tmp_path):
    text = survey_text(config)
    tokenizer = CharTokenizer(make_encoder_tokenizer(sorted(text.char_counts)))
    (tmp_path / "corpus" / "史" / "四.txt").write_text("另一文。", encoding="utf-8")
    with pytest.raises(DataError, match="found that a file was changed meanwhile"):
        write_text_windows(config, Run(tmp_path / "run"), text, tokenizer)


def test_a_corpus_of_which_nothing_is_left_is_refused(config, tmp_path):
    only = dataclasses.replace(config, corpus=CorpusConfig(str(tmp_path / "corpus" / "史" / "一.txt")))
    with pytest.raises(DataError, match=r"expected text to pretrain on, found none but 1 texts that pretrain.exclude"):
        survey_text(excluding(only, tmp_path, "dev.jsonl"))


def test_a_text_shorter_than_two_windows_is_refused(config, tmp_path):
    settings = excluding(config, tmp_path, window_tokens=128)
    text = survey_text(settings)
    with pytest.raises(ConfigError, match=r"pretrain.window_tokens: expected two windows of text at least"):
        write_text_windows(settings, Run(tmp_path / "run"), text, CharTokenizer(make_encoder_tokenizer("楚")))


# ---- the command


def call(tmp_path, *settings):
    """The exit code of a dry run, which writes nothing."""
    before = snapshot(tmp_path)
    code = main(["pretrain", str(tmp_path / "corpus"), "--out", str(tmp_path / "out"), "--dry-run", *settings])
    assert snapshot(tmp_path) == before
    return code


def test_a_dry_run_says_what_is_read_and_left_out(config, tmp_path, capsys):
    variants = f"pretrain.variants={tmp_path / 'variants.txt'}"
    assert call(tmp_path, f"pretrain.exclude={tmp_path / 'labelled.txt'}", variants, "pretrain.hours=3") == 0
    out = capsys.readouterr().out
    assert "3 texts, " in out
    assert "left out: 3 texts with " in out
    assert f"pretraining: 3 h 0 min; run folder: {tmp_path / 'out'}.run; encoder: {tmp_path / 'out'}" in out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["pretrain.hours=0"], "pretrain.hours: expected more than 0 where pretrain.steps is 0, found 0"),
        (["pretrain.batch_size=3", "pretrain.workers.count=2"], "pretrain.batch_size: expected a multiple of the 2 w"),
        (["pretrain.scratch.hidden=30"], "pretrain.scratch.hidden: expected a multiple of the 4 heads, found 30"),
        (["pretrain.variants=a.txt"], "pretrain.variants: expected with pretrain.exclude, which it serves"),
        (["pretrain.objective=both"], "pretrain.objective: expected one of replaced, masked, found 'both'"),
        (["pretrain.exclude=none.txt"], "pretrain.exclude: none.txt: expected a file or folder, found nothing"),
        (["pretrain.exclude=none.jsonl"], "pretrain.exclude: none.jsonl: expected a file or folder, found nothing"),
        (["pretrain.start=none"], "pretrain.start: "),
        (["pretrain.start={bert}"], "a checkpoint of electra for pretrain.objective=replaced, found one of bert"),
        (
            ["pretrain.start={bert}", "pretrain.objective=masked", "pretrain.window_tokens=513"],
            "pretrain.window_tokens: expected at most 512, which ",
        ),
        (["pretrain.workers.cpus=4000"], "pretrain.workers: expected at most the "),
        (["device=cuda"], "device: expected a GPU of {where} for device=cuda, found none"),
    ],
)  # fmt: skip
def test_wrong_settings_end_with_2_in_one_line(config, tmp_path, capsys, monkeypatch, settings, message):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    write_scratch_encoder(tmp_path / "bert", SENTENCES, SHAPE, seed=1)
    capsys.readouterr()
    assert call(tmp_path, *(setting.format(bert=tmp_path / "bert") for setting in settings)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    # Other tests may have started Ray in this process.
    where = "the cluster" if ray.is_initialized() else "this machine"
    assert message.format(where=where) in line


def test_a_folder_of_the_users_or_with_another_encoder_is_refused(config, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").write_text("mine")
    assert call(tmp_path) == 2
    assert "found files that rayner did not mark as its own, such as 'thesis.docx'" in capsys.readouterr().err
    assert main(["pretrain", str(tmp_path / "corpus"), "--out", str(tmp_path / "corpus" / "x"), "--dry-run"]) == 2
    assert "which is inside corpus" in capsys.readouterr().err


def test_a_path_with_characters_of_yaml_is_taken_as_it_is(config, tmp_path, capsys):
    odd = tmp_path / "[a: 'b' #c"
    (tmp_path / "corpus").rename(odd)
    assert main(["pretrain", str(odd), "--out", str(tmp_path / "{out"), "--dry-run"]) == 0
    assert f"encoder: {tmp_path / '{out'}" in capsys.readouterr().out


def test_the_help_shows_the_settings_of_pretraining_only(capsys):
    with pytest.raises(SystemExit):
        main(["pretrain", "--help"])
    out = capsys.readouterr().out
    assert "  pretrain.hours " in out
    assert "  slm.epochs " not in out
    assert json.dumps("") not in out

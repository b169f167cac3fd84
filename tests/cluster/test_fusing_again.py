"""A corpus is fused again under another rule from what the models said, as if it had been tagged anew."""

import shutil
from dataclasses import replace

import pytest

from rayner.cli import main
from rayner.config.corpus_settings import CorpusConfig
from rayner.config.loading import load_config
from rayner.corpus.run_record import read_run_record
from rayner.errors import ConfigError, RaynerError
from rayner.fusion.calibration import Calibration
from rayner.fusion.region_rule import RegionRule
from rayner.runs.run_folder import Run
from rayner.steps.fusion_rules import read_tuned_fusion, write_tuned_fusion
from rayner.steps.tag import tag_corpus as tag_corpus_module
from rayner.steps.tag.tag_corpus import tag_corpus
from tests.cluster.small import PLAIN_TEXT, files_of, rows_of, with_settings
from tests.folders import flip

pytestmark = pytest.mark.slow
FEW, ALL = RegionRule(0.02, "mean", "product", "slots"), RegionRule(1.0, "max", "min", "entities")
NUMBERS = ("score", "slm_entropy", "llm_category_prob", "llm_boundary_prob")


def run_with_rule(run, folder, rule):
    """A copy of a run, which tags with a rule: one by regions, or "spans", the learned one."""
    shutil.copytree(run.root, folder)
    copy = Run(folder)
    fusion = read_tuned_fusion(copy)
    if rule == "spans":
        fusion = replace(fusion, chosen="spans", calibration=Calibration())
    else:
        calibration = Calibration(with_llm=(0.5, -1.0, 0.5, 0.2, 0.3, 0.4), slm_alone=(1.0, rule.weight))
        fusion = replace(fusion, chosen="regions", region_rule=rule, calibration=calibration)
    write_tuned_fusion(copy, fusion)
    return copy


@pytest.fixture(scope="module")
def runs(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: run_with_rule(run, folder / name, rule) for name, rule in (("few", FEW), ("all", ALL), ("spans", "spans"))
    }


@pytest.fixture(scope="module")
def settings(config, tmp_path_factory):
    """The settings of a corpus with a sentence that is cut."""
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(4):
        text = PLAIN_TEXT * 4 + "楚懷王入秦而張儀為相屈原諫之" * 8 * (i == 2) + "。"
        (folder / f"{i}.txt").write_text(text, encoding="utf-8")
    made = with_settings(with_settings(config, "score", unit_chars=60), "tag", max_segment_chars=50)
    return replace(made, corpus=CorpusConfig(str(folder)))


@pytest.fixture(scope="module")
def tagged_anew(runs, settings, tmp_path_factory):
    """The corpus as each rule tags it anew."""
    folder = tmp_path_factory.mktemp("anew")
    for name, run in runs.items():
        tag_corpus(replace(settings, out=str(folder / name)), run)
    return {name: folder / name for name in runs}


@pytest.fixture
def predicted(monkeypatch):
    """The names of the units that were given to the actors with the models."""
    names, real = [], tag_corpus_module.predict_units

    def predict(unit_names, job):
        names.extend(unit_names)
        return real(unit_names, job)

    monkeypatch.setattr(tag_corpus_module, "predict_units", predict)
    return names


def same_but_for_rounding(out, expected, table):
    found, wanted = rows_of(out, table), rows_of(expected, table)
    numbers = [name for name in NUMBERS if table == "entities"]
    plain = [
        [{k: v for k, v in row.items() if k not in (*numbers, "passes")} for row in rows] for rows in (found, wanted)
    ]
    assert plain[0] == plain[1]
    for row, other in zip(found, wanted, strict=True):
        for name in numbers:
            assert (row[name] is None) == (other[name] is None)
            assert row[name] is None or abs(row[name] - other[name]) < 1e-5


@pytest.mark.parametrize(("first", "then", "asks"), [
    ("few", "all", True), ("all", "few", False), ("few", "spans", True),
    pytest.param("all", "spans", False, marks=pytest.mark.drill),
    pytest.param("spans", "all", False, marks=pytest.mark.drill),
])  # fmt: skip
def test_another_rule_gives_what_tagging_anew_gives(
    runs, settings, tagged_anew, predicted, tmp_path, first, then, asks
):
    out = tmp_path / "out"
    shutil.copytree(tagged_anew[first], out)
    tag_corpus(replace(settings, out=str(out)), runs[then])
    assert bool(predicted) == asks
    for table in ("documents", "entities", "segments"):
        same_but_for_rounding(out, tagged_anew[then], table)
    assert rows_of(out, "entities") != rows_of(tagged_anew[first], "entities")
    assert main(["verify", str(out), "--run", str(runs[then].root)]) == 0
    if (first, then) == ("all", "few"):  # without a model the first rule gives its own bytes again
        tag_corpus(replace(settings, out=str(out)), runs[first])
        assert files_of(out) == files_of(tagged_anew[first])
        assert predicted == []


@pytest.fixture(scope="module")
def not_worth_it(run, tmp_path_factory):
    """A run whose LLM is worth no more than chance, and whose control has another rule than the fusion."""
    copy = run_with_rule(run, tmp_path_factory.mktemp("worthless") / "run", ALL)
    fusion = read_tuned_fusion(copy)
    worth = replace(fusion.llm_worth, difference=0.0, interval=(-0.01, 0.01))
    keeps_all = RegionRule(-1.5, "mean", "product", "slots")
    control = replace(fusion.control, chosen="regions", region_rule=keeps_all)
    write_tuned_fusion(copy, replace(fusion, llm_worth=worth, control=control))
    return copy


def test_an_llm_that_is_not_worth_asking_is_not_asked_and_may_be_asked_later(
    not_worth_it, settings, tagged_anew, predicted, tmp_path
):
    outs = {name: tmp_path / name for name in ("auto", "always", "first auto", "first always")}
    by_name = {
        name: replace(with_settings(settings, "fusion", llm=name), out=str(outs[name])) for name in ("auto", "always")
    }
    tag_corpus(by_name["auto"], not_worth_it)
    assert read_run_record(outs["auto"]).asks_llm is False
    assert "not beyond chance" in read_run_record(outs["auto"]).llm
    segments = rows_of(outs["auto"], "segments")
    assert all(row["gated"] and not row["passes"] for row in segments)
    assert {row["decided_by"] for row in rows_of(outs["auto"], "entities")} == {"slm"}
    shutil.copytree(tagged_anew["all"], outs["always"])  # by the same rule
    tag_corpus(by_name["always"], not_worth_it)
    assert read_run_record(outs["always"]).asks_llm
    assert rows_of(outs["always"], "entities") != rows_of(outs["auto"], "entities")

    shutil.copytree(outs["auto"], outs["first auto"])
    shutil.copytree(outs["always"], outs["first always"])
    predicted.clear()
    tag_corpus(replace(by_name["auto"], out=str(outs["first always"])), not_worth_it)
    assert predicted == [], "the kept predictions suffice"
    for table in ("documents", "entities", "segments"):
        assert rows_of(outs["first always"], table) == rows_of(outs["auto"], table)
        assert read_run_record(outs["first always"]).counts == read_run_record(outs["auto"]).counts
    tag_corpus(replace(by_name["always"], out=str(outs["first auto"])), not_worth_it)
    assert predicted, "the LLM is asked now"
    for table in ("documents", "entities", "segments"):
        same_but_for_rounding(outs["first auto"], outs["always"], table)
    assert main(["verify", str(outs["first auto"]), "--run", str(not_worth_it.root)]) == 0


def test_another_gate_asks_for_whole_answers_and_changes_no_entity(runs, settings, tagged_anew, predicted, tmp_path):
    """Under the exact gate, answers stop where the rest could change nothing."""
    out = tmp_path / "out"
    shutil.copytree(tagged_anew["few"], out)
    tag_corpus(replace(with_settings(settings, "gate", exact=False), out=str(out)), runs["few"])
    assert predicted
    same_but_for_rounding(out, tagged_anew["few"], "entities")
    assert not any(row["gated"] for row in rows_of(out, "segments"))


def test_scores_without_tables_are_fused_without_the_models(runs, settings, tagged_anew, predicted, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(tagged_anew["all"], out)
    for path in [*out.glob("entities/*"), *out.glob("segments/*"), *out.glob("units/*")]:
        path.unlink()
    tag_corpus(replace(settings, out=str(out)), runs["all"])
    assert files_of(out) == files_of(tagged_anew["all"])
    assert predicted == []


DAMAGES = {"flip": flip, "missing": lambda path: path.unlink(), "empty": lambda path: path.write_bytes(b"")}


@pytest.mark.parametrize(
    "damage", ["flip", *(pytest.param(damage, marks=pytest.mark.drill) for damage in ("missing", "empty"))]
)
def test_damaged_scores_are_named_and_made_again(runs, settings, tagged_anew, predicted, tmp_path, caplog, damage):
    """The table of one unit, and the record of the next."""
    out, damaged = tmp_path / "out", ("unit-000001.parquet", "unit-000002.json")
    for name in damaged:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(tagged_anew["all"], out)
        DAMAGES[damage](out / "scores" / name)
        assert main(["verify", str(out)]) == 2
    DAMAGES[damage](out / "scores" / damaged[0])
    with caplog.at_level("INFO", logger="rayner"):
        tag_corpus(replace(settings, out=str(out)), runs["all"])
    for name in damaged:
        assert f"{out / 'scores' / name}: expected" in caplog.text
    assert predicted == ["unit-000001", "unit-000002"]
    assert files_of(out) == files_of(tagged_anew["all"])
    assert main(["verify", str(out)]) == 0


def test_without_kept_scores_another_rule_is_refused_and_nothing_changes(runs, settings, tagged_anew, tmp_path):
    out = tmp_path / "out"
    lean = replace(with_settings(settings, "tag", keep_scores=False), out=str(out))
    tag_corpus(lean, runs["all"])
    assert not (out / "scores").exists()
    tables = {name: content for name, content in files_of(out).items() if name.startswith(("entities", "segments"))}
    assert all(files_of(tagged_anew["all"])[name] == content for name, content in tables.items())
    before = files_of(out)
    with pytest.raises(ConfigError, match=r"was fused with another rule or gate, and the predictions .* were not kept"):
        tag_corpus(lean, runs["few"])
    assert files_of(out) == before
    assert main(["verify", str(out)]) == 0


def test_a_model_in_each_actor_gives_what_both_in_one_give(runs, settings, tagged_anew, tmp_path):
    out = tmp_path / "out"
    score = replace(settings.score, slm=replace(settings.score.slm, actors=1))
    tag_corpus(replace(settings, score=score, out=str(out)), runs["all"])
    assert files_of(out) == files_of(tagged_anew["all"])


def test_an_error_of_the_small_model_ends_the_job_with_its_reason(runs, settings, tmp_path):
    score = replace(settings.score, slm=replace(settings.score.slm, actors=1))
    shutil.copytree(runs["all"].root, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "models" / "slm")
    with pytest.raises(RaynerError, match="models/slm"):
        tag_corpus(replace(settings, score=score, out=str(tmp_path / "out")), Run(tmp_path / "run"))


def test_actors_of_their_own_need_kept_predictions():
    with pytest.raises(ConfigError, match=r"score\.slm\.actors: expected 0 with tag\.keep_scores=false"):
        load_config(None, ["score.slm.actors=2", "tag.keep_scores=false"])

"""`tag_corpus` itself accounts for every file of a corpus in `run.json`: tagged, unread, or ignored."""

import json
from dataclasses import dataclass

from tests.simulation import corpora
from tests.simulation.corpora import Corpus
from tests.simulation.jobs import CORPUS, simulated_jobs
from tests.simulation.scenario import Scenario, run_scenario
from tests.simulation.system_calls import ROOT


@dataclass(frozen=True)
class _CorpusWithOddFiles(Corpus):
    def files(self):
        return {**super().files(), "壞.txt": b"\xff", "說明.html": b"x", ".txt": b"x", "書/圖.PNG": b"\x89"}


def test_every_file_is_tagged_unread_or_ignored(monkeypatch):
    texts = {"一.txt": "楚懷王貪。", "二.TXT": "秦王政立。", "空.txt": ""}
    monkeypatch.setitem(corpora.CORPORA, "odd files", _CorpusWithOddFiles(texts))
    with simulated_jobs():
        outcome = run_scenario(Scenario(0, "odd files", (), switch_share=0.0), compare=False)
    record = json.loads(next(content for name, content in outcome.files.items() if name.endswith("run.json")))
    assert record["counts"]["documents"] == 3
    assert record["empty"] == [f"{ROOT}/{CORPUS}/空.txt"]
    assert list(record["unread"]) == [f"{ROOT}/{CORPUS}/壞.txt"]
    assert record["ignored"] == {
        "hidden": {"files": 1, "first": [".txt"]},
        ".png": {"files": 1, "first": ["書/圖.PNG"]},
        ".html": {"files": 1, "first": ["說明.html"]},
    }

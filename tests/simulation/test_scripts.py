"""Both models tag a simplified corpus in another encoding as they tag the traditional original, in every file."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from rayner.config.corpus_settings import CorpusConfig
from rayner.corpus.scripts.conversion import build_script_converter
from rayner.corpus.scripts.tables import load_script_tables
from tests.simulation.corpora import CORPORA
from tests.simulation.file_system import FileSystem
from tests.simulation.jobs import CORPUS, OUT, RUN, make_config, simulated_jobs, start_job, verify_corpus
from tests.simulation.system_calls import ROOT
from tests.simulation.trained_run import OTHER_RULE, make_fusion_file, make_run_files
from tests.simulation.world import World, simulate_world

TRADITIONAL = CORPORA["clean"].texts
SIMPLIFIED_OF = load_script_tables().simplified
SIMPLIFIED = {name: "".join(SIMPLIFIED_OF.get(char, (char,))[0] for char in text) for name, text in TRADITIONAL.items()}
TRAIN = "\n".join(json.dumps({"text": text, "spans": []}) for text in TRADITIONAL.values())


def tag(texts, corpus):
    """The files of the tagged corpus after a job, and after another with another rule, which fuses what was kept."""
    file_system = FileSystem(ROOT)
    file_system.write_files({f"{RUN}/{name}": content for name, content in make_run_files().items()})
    file_system.write_files({f"{RUN}/data/train.jsonl": TRAIN.encode()})
    file_system.write_files({f"{CORPUS}/{name}": text.encode(corpus.encoding) for name, text in texts.items()})
    config, world, outputs = replace(make_config(exact_gate=False), corpus=corpus), World(1, file_system, []), []
    with simulated_jobs(), simulate_world(world):
        for fusion in (None, make_fusion_file(OTHER_RULE)):
            file_system.write_files({f"{RUN}/fusion.json": fusion} if fusion else {})
            job = start_job(world, "job", config)
            world.run(lambda job=job: job.is_done)
            assert (job.code, job.crash, job.message) == (0, "", "")
            for orphan in list(world.living_processes()):
                world.kill(orphan)
            assert verify_corpus(world) == []
            outputs.append(file_system.files(OUT))
    return outputs


def rows_of(files, table):
    names = sorted(name for name in files if name.startswith(f"{table}/unit-"))
    return [row for name in names for row in pq.read_table(pa.BufferReader(files[name])).to_pylist()]


def test_a_simplified_corpus_is_tagged_as_the_traditional_one_with_kept_scores_and_cuts_too():
    converter = build_script_converter(TRADITIONAL.values())
    assert {name: converter.convert(text) for name, text in SIMPLIFIED.items()} == TRADITIONAL
    path = f"{ROOT}/{CORPUS}"
    expected = tag(TRADITIONAL, CorpusConfig(path))
    found = tag(SIMPLIFIED, CorpusConfig(path, "gb18030", match_script=True))
    for original, matched in zip(expected, found, strict=True):
        assert rows_of(matched, "segments") == rows_of(original, "segments")
        entities = rows_of(matched, "entities")
        assert [{**row, "text": ""} for row in entities] == [
            {**row, "text": ""} for row in rows_of(original, "entities")
        ]
        assert {"agree", "llm"} <= {row["decided_by"] for row in entities}
        for row in entities:
            assert row["text"] == SIMPLIFIED[f"{row['doc_id']}.txt"][row["start"] : row["end"]]
        assert {row["text"] for row in entities} >= {"怀王", "张仪"}
        texts = {f"{row['doc_id']}.txt": row["text"] for row in rows_of(matched, "documents")}
        assert texts == SIMPLIFIED
    assert rows_of(expected[0], "entities") != rows_of(expected[1], "entities")

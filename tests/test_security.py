"""What docs/security.md promises. Links and doc_ids that lead out of a folder: tests/corpus."""

import ast
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForMaskedLM

from rayner.cli import main
from rayner.cli.jobs.definitions import Job
from rayner.cli.jobs.running import run_job
from rayner.config.model_settings import EncoderScratchConfig, IndexConfig
from rayner.config.settings import Config
from rayner.corpus.labelled_sentences import write_labelled_sentences
from rayner.errors import ConfigError, DataError
from rayner.llm import model
from rayner.llm.index import build_sentence_index, save_sentence_index
from rayner.llm.sentence_encoders import load_sentence_encoder
from rayner.modeling.scratch import write_scratch_decoder, write_scratch_encoder
from rayner.modeling.tokenizer import load_tokenizer
from rayner.report.page import write_report_page
from rayner.report.run_report import read_document_beginnings
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run, folder_sha256
from rayner.runs.step_manifest import StepManifest
from rayner.steps import llm_loading
from rayner.taggers import encoder
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.report.test_report_page import Page

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
SHAPE = EncoderScratchConfig(hidden=32, layers=2, heads=2, intermediate=64, min_count=1)
TEXTS = ["楚懷王入秦", "齊王建降秦", "秦王政立"]
CODE = 'open({mark!r}, "w").close()\nclass Own:\n    pass\n'


class Bomb:
    """Unpickled, it creates a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path):
    """The file that must never come to be."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


@pytest.fixture
def bomb(mark):
    """A pickle that creates `mark`: it really does."""
    pickled = pickle.dumps(Bomb(mark), protocol=2)
    pickle.loads(pickled)
    mark.unlink()
    return pickled


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """An encoder, a decoder and a trained tagger, as folders of safetensors."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_scratch_encoder(folder / "encoder", TEXTS, SHAPE, seed=1)
    write_scratch_decoder(folder / "decoder", TEXTS, ["NR"], SHAPE, seed=1)
    encoder.save_encoder_tagger(
        encoder.load_encoder_tagger(folder / "encoder", CPU, ["O", "B-NR", "M-NR", "E-NR", "S-NR"]), folder / "tagger"
    )
    return folder


def load_llm(folder, **settings):
    return model.load_llm_checkpoint(folder, instruction="", types=["NR"], chat=False, device=CPU, **settings)


LOADERS = {
    "tagger": lambda folder: encoder.load_encoder_tagger(folder, CPU),
    "encoder": lambda folder: load_sentence_encoder(folder, CPU),
    "decoder": load_llm,
}


@pytest.fixture(params=LOADERS)
def checkpoint_name(request):
    return request.param


@pytest.fixture
def folder(checkpoint_name, checkpoints, tmp_path):
    """A copy of a checkpoint, to be spoiled."""
    return Path(shutil.copytree(checkpoints / checkpoint_name, tmp_path / "model"))


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refused(call, *arguments, **settings):
    with pytest.raises(ConfigError) as caught:
        call(*arguments, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- checkpoints


def test_a_checkpoint_with_nothing_but_a_pickle_is_refused_unopened(checkpoint_name, folder, bomb):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(bomb)
    said = refused(LOADERS[checkpoint_name], folder)
    assert said.startswith(f"{folder}: expected weights in safetensors, found 'pytorch_model.bin'")


def test_so_is_a_pickle_of_tensors_alone(checkpoint_name, folder, checkpoints):
    (folder / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(1)}, folder / "pytorch_model.bin")
    assert "pytorch_model.bin" in refused(LOADERS[checkpoint_name], folder)


def test_a_pickle_beside_safetensors_is_left_alone(checkpoint_name, folder, bomb):
    (folder / "pytorch_model.bin").write_bytes(bomb)
    (folder / "training_args.bin").write_bytes(bomb)
    LOADERS[checkpoint_name](folder)


def test_an_index_of_safetensors_that_names_a_pickle_is_refused(checkpoint_name, folder, bomb):
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    (folder / "weights.bin").write_bytes(bomb)
    index = {"metadata": {"total_size": 1}, "weight_map": {"a": "other.safetensors", "b": "weights.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "'weights.bin'" in refused(LOADERS[checkpoint_name], folder)


def test_a_configuration_that_names_a_pickle_as_weights_is_refused(checkpoint_name, folder, bomb):
    (folder / "adapter_model.bin").write_bytes(bomb)
    change(folder / "config.json", transformers_weights="adapter_model.bin")
    assert "'adapter_model.bin'" in refused(LOADERS[checkpoint_name], folder)


def test_weights_outside_the_folder_are_refused(checkpoint_name, folder):
    shutil.copy(folder / "model.safetensors", folder.parent)
    (folder / "model.safetensors").unlink()
    index = {"metadata": {"total_size": 1}, "weight_map": {"a": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "'../model.safetensors'" in refused(LOADERS[checkpoint_name], folder)


def test_an_index_that_is_no_index_is_refused_naming_it(checkpoint_name, folder):
    path = folder / "model.safetensors.index.json"
    for content in ("[]", "{", '{"weight_map": 3}'):
        path.write_text(content)
        assert refused(LOADERS[checkpoint_name], folder).startswith(f"{path}: ")


def test_weights_in_several_safetensors_are_read(checkpoints, tmp_path):
    made = load_llm(checkpoints / "decoder")
    made.model.save_pretrained(tmp_path / "cut", max_shard_size="20KB")
    made.tokenizer.tokenizer.save_pretrained(tmp_path / "cut")
    assert len(list((tmp_path / "cut").glob("*.safetensors"))) > 1
    again = load_llm(tmp_path / "cut").model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in made.model.state_dict().items())


def test_an_adapter_that_is_a_pickle_is_refused_unopened(checkpoints, tmp_path, bomb):
    adapted = model.add_lora(load_llm(checkpoints / "decoder").model, Config().llm.lora)
    adapted.save_pretrained(tmp_path / "adapter")
    load_llm(checkpoints / "decoder", adapter=tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_model.safetensors").rename(tmp_path / "adapter" / "other.safetensors")
    (tmp_path / "adapter" / "adapter_model.bin").write_bytes(bomb)
    said = refused(load_llm, checkpoints / "decoder", adapter=tmp_path / "adapter")
    assert "'adapter_model.bin'" in said


def test_code_that_comes_with_a_model_is_not_run_and_nobody_is_asked(checkpoint_name, folder, mark, capsys):
    (folder / "own.py").write_text(CODE.format(mark=str(mark)))
    change(folder / "config.json", model_type="own", auto_map=dict.fromkeys(["AutoConfig", "AutoModel"], "own.Own"))
    said = refused(LOADERS[checkpoint_name], folder)
    assert "code of its own, which is not run" in said
    assert "trust_remote_code" not in said
    assert capsys.readouterr().out == ""


def test_code_that_comes_with_a_tokenizer_is_not_run(folder, mark):
    (folder / "own.py").write_text(CODE.format(mark=str(mark)))
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "own.Own"]}, tokenizer_class="Own")
    load_tokenizer(folder)  # by the class of transformers' own


def test_a_chat_template_cannot_reach_python(checkpoints, tmp_path, mark):
    folder = Path(shutil.copytree(checkpoints / "decoder", tmp_path / "chat"))
    change(
        folder / "tokenizer_config.json",
        chat_template="{{ cycler.__init__.__globals__.os.system('touch " + str(mark) + "') }}",
    )
    with pytest.raises(Exception, match="unsafe"):
        model.load_llm_checkpoint(folder, instruction="", types=["NR"], chat=True, device=CPU)


def test_a_pickle_converted_as_the_message_says_is_read(checkpoints, tmp_path):
    source = Path(shutil.copytree(checkpoints / "encoder", tmp_path / "old"))
    model = AutoModelForMaskedLM.from_pretrained(source)
    torch.save(model.state_dict(), source / "pytorch_model.bin")
    (source / "model.safetensors").unlink()
    said = refused(load_sentence_encoder, source, CPU)
    assert "`rayner fetch THIS_FOLDER NEW_FOLDER` converts them" in said
    assert main(["fetch", str(source), str(tmp_path / "new")]) == 0
    weights = load_sentence_encoder(tmp_path / "new", CPU).model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.bert.state_dict().items())


# ---- files of a run


@pytest.fixture
def indexed(checkpoints, tmp_path):
    """A run that has got as far as the index, with its configuration."""
    run = Run(tmp_path / "run")
    examples = [LabelledSentence(text, (Span(0, 1, "NR"),)) for text in TEXTS]
    run.path("data").mkdir(parents=True)
    write_labelled_sentences(run.path("data", "train.jsonl"), examples)
    save_sentence_index(
        build_sentence_index(load_sentence_encoder(checkpoints / "encoder", CPU), examples, 4), run.path("index")
    )
    facts = {"digest": folder_sha256(run.path("index"))}
    write_json(run.path("steps", "build_index.json"), StepManifest({}, facts).to_json())
    return Config(device="cpu", index=IndexConfig(encoder=str(checkpoints / "encoder"), k=1)), run


def test_the_index_that_was_made_is_opened(indexed):
    ((shown,),) = llm_loading.load_retriever(*indexed).find_shared_examples([(TEXTS[0],)])
    assert shown.text in TEXTS[1:]


@pytest.mark.parametrize("name", ["vectors.faiss", "examples.jsonl"])
def test_an_index_that_is_not_the_one_that_was_made_is_not_opened(indexed, name):
    path = indexed[1].path("index", name)
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(indexed[1].path("index", "vectors.faiss")))):
        llm_loading.load_retriever(*indexed)
    path.write_bytes(b"IxFI\xff\xff\xff\x7f")  # FAISS would say so itself, as a ConfigError, had it been asked
    with pytest.raises(DataError, match="expected the index that build_index made"):
        llm_loading.load_retriever(*indexed)


def test_no_code_of_ours_unpickles_or_reads_yaml_unsafely():
    refused = {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle", "eval", "exec"}
    paths = [*(ROOT / "rayner").rglob("*.py"), *(ROOT / "jobs").glob("*.py")]
    met = 0
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        }
        assert not imported & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}, path
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            assert name not in refused, path
            assert not name.endswith(".load_checkpoint"), path  # DeepSpeed's unpickles whatever is there
            if name == "torch.load":
                assert {word.arg: ast.unparse(word.value) for word in call.keywords}.get("weights_only") == "True", path
                met += 1
            if name == "np.load":
                assert "allow_pickle=True" not in ast.unparse(call), path
    assert met  # of torch.load: the net has caught something


@pytest.mark.parametrize("extension", ["arrow.py_extension_type", "ray.data.arrow_pickled_object"])
def test_pickles_in_parquet_are_not_opened(tmp_path, bomb, capsys, extension):
    import ray.data  # which registers types of its own with Arrow

    assert ray.data
    write_unit(tmp_path / "tagged", "0.parquet", [document("a", "楚王")])
    path = tmp_path / "tagged" / "documents" / "0.parquet"
    table = pq.read_table(path)
    about = {"ARROW:extension:name": extension, "ARROW:extension:metadata": bomb}
    field = pa.field("doc_id", pa.large_binary(), metadata=about)
    pq.write_table(table.set_column(0, field, pa.array([bomb], pa.large_binary())), path)
    assert main(["export", str(tmp_path / "tagged"), "--to", "evahan", str(tmp_path / "out")]) == 2
    assert "expected column doc_id to be string" in capsys.readouterr().err


# ---- settings and what people look at


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [touch {}]", "!!python/name:os.system {}"])
def test_python_in_settings_ends_with_2_and_is_not_run(tmp_path, mark, capsys, tag):
    value = tag.format(mark)
    path = tmp_path / "c.yaml"
    path.write_text(f"seed: {value}\n")
    for arguments in (["--config", str(path)], [f"seed={value}"]):
        assert run_job(Job("job", "Works.", pytest.fail, pytest.fail), arguments) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert "python" in said
        assert said.count("\n") == 1


def test_a_document_cannot_write_into_the_page(tmp_path):
    name, text = "<script>alert(1)<&'\"", "<img src=x onerror=alert(2)>楚王。"
    entities = [entity(name, text.index("楚"), "楚王")]
    write_unit(tmp_path / "tagged", "0.parquet", [document(name, text)], entities)
    shown = read_document_beginnings(tmp_path / "tagged")
    write_report_page(
        tmp_path / "r.html", title=name, evaluation=None, fusion=None, facts={name: text}, methods=None, samples=shown
    )
    raw = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page(raw)
    assert "<img" not in raw
    assert not page.tags("img")
    assert len(page.tags("script")) == 1
    assert not any(attribute.startswith("on") for _, attrs in page.elements for attribute in attrs)
    assert name in page.text
    assert text in page.text
    assert {attrs["data-type"] for attrs in page.tags("mark")} == {"NR"}


# ---- the network

DASHBOARD = """
import time, urllib.error, urllib.request, psutil, ray
from rayner.cluster.session import ray_session

with ray_session():
    host, _, port = ray.init(address="auto", ignore_reinit_error=True).dashboard_url.partition(":")
    own = [psutil.Process(), *psutil.Process().children(recursive=True)]
    held = [item for process in own for item in process.net_connections("inet") if item.status == psutil.CONN_LISTEN]
    print("address", host)
    print("listens", *{item.laddr.ip for item in held if item.laddr.port == int(port)})
    try:
        urllib.request.urlopen(f"http://{host}:{port}/api/jobs/", timeout=30)
    except urllib.error.HTTPError as error:
        print("without a token", error.code)
"""


@pytest.mark.slow
def test_the_dashboard_of_a_local_run_listens_on_the_loopback_alone_and_wants_a_token():
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    code = [sys.executable, "-c", DASHBOARD]
    done = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, env=quiet, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["address 127.0.0.1", "listens 127.0.0.1", "without a token 401"]

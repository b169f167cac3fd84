"""Training of the LLM on real Ray Train workers with DeepSpeed: the same as plain torch, for any division of the work.

A decoder of six layers; its training is repeated in this process by plain torch, each step in one forward pass.
"""

import dataclasses
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from ray.train import WorkerGroupError
from safetensors.torch import load_file

from rayner.cluster.ray_train import run_training
from rayner.config.model_settings import LlmConfig, LoraConfig, ScratchConfig, WorkersConfig
from rayner.config.settings import Config
from rayner.corpus.parquet_files import write_table
from rayner.errors import NotFiniteError
from rayner.llm import model as llms
from rayner.llm.prompt_encoder import load_prompt_encoder
from rayner.llm.sft import SftLoss, build_sft_example
from rayner.modeling.scratch import write_scratch_decoder
from rayner.modeling.training_schedule import epoch_batches, learning_rate_factor
from rayner.runs.json_files import read_json, write_json
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from rayner.steps.training.deepspeed_worker import (
    read_train_set,
    train_on_worker,
    warn_of_long_examples,
)
from rayner.steps.training.sft_examples import examples_to_table
from rayner.steps.training.train_stage import TrainStage
from tests.checkpoints import load_llm, spoil_weight
from tests.cluster.small import labelled_sentences, with_settings
from tests.cluster.training_loops import die_after_one_step, measure_shards

pytestmark = pytest.mark.slow
TYPES = ("NB", "NG", "NO", "NR", "NS", "T")
ONE, TWO = WorkersConfig(max_failures=0), WorkersConfig(count=2, max_failures=0)
LR = {"lora": 1e-3, "full": 1e-3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint of six layers, and 21 training examples: two steps of 8 and one of 5."""
    folder = tmp_path_factory.mktemp("deepspeed")
    sentences = labelled_sentences()[:21]
    shape = ScratchConfig(hidden=64, layers=6, heads=4, intermediate=128, min_count=1)
    write_scratch_decoder(folder / "base", [sentence.text for sentence in sentences], TYPES, shape, seed=1)
    encoder = load_prompt_encoder(folder / "base", instruction="", types=TYPES, chat=False)
    examples = [build_sft_example(encoder, [], sentence) for sentence in sentences]
    write_table(examples_to_table(examples), folder / "examples" / "000000.parquet")
    return folder


@pytest.fixture(scope="module")
def config():
    lora = LoraConfig(r=4, alpha=8, dropout=0.0)
    return Config(
        device="cpu", llm=LlmConfig(instruction="", chat=False, batch_size=8, checkpoint_minutes=1e-6, lora=lora)
    )


def a_run(folder):
    run = Run(folder)
    run.path("steps").mkdir(parents=True)
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(TYPES)}).to_json())
    return run


def stage_of(name, folder):
    return TrainStage(name, str(folder / "base"), 1, LR[name], folder / "examples")


def train(config, workers, run, stage, loop=train_on_worker):
    """What a training leaves: the folder of its last checkpoint."""
    settings = {"config": with_settings(config, "llm", workers=workers), "run": run, "stage": stage}
    return Path(run_training(loop, settings, run, f"llm-{stage.name}", workers).checkpoint.path)


def read_state(checkpoint):
    """Weights and moments of every trained parameter, and the position."""
    files = sorted(checkpoint.glob("state-*.safetensors"))
    state = {name: tensor for file in files for name, tensor in load_file(file).items()}
    return state, json.loads((checkpoint / "done.json").read_text())


def train_in_plain_torch(config, stage, loss_over="allowed"):
    """The parameters before and after, and after one step the gradient (clipped), of a training without DeepSpeed."""
    llm = load_llm(stage.base, TYPES, instruction="", dtype="float32", load_in=config.llm.load_in)
    if stage.name == "lora":
        torch.manual_seed(config.seed)
        llm.model = llms.add_lora(llm.model, config.llm.lora)
    llm.model.train()  # bitsandbytes rounds more in predictions
    sft_loss = SftLoss(llm, loss_over)
    train_set = read_train_set(stage.examples_folder, loss_over)
    trained = {name: p for name, p in llm.model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=stage.lr, weight_decay=0.01)
    batches = epoch_batches(train_set.n_tokens, config.llm.batch_size, config.seed)
    losses, first = [], {}
    for i, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = stage.lr * learning_rate_factor(i, len(batches), config.llm.warmup)
        examples = [train_set.examples[k] for k in batch]
        n_positions = sum(
            len(allowed) > 1 or loss_over == "all" for e in examples for allowed in [*e.allowed, (sft_loss.end_token,)]
        )
        loss = sft_loss(examples) / n_positions
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        first = first or {name: p.grad.clone() for name, p in trained.items()}
        optimizer.step()
        losses.append(float(loss.detach()))
    assert len(batches) == 3
    return losses, first, {name: p.detach() for name, p in trained.items()}


# How a training begins and how it goes on: stage, workers, ZeRO stage, tokens of a pass; the loss; the base's weights.
NEEDS_BITSANDBYTES = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
DIVISIONS = [
    ("lora", (TWO, 2, 150), (ONE, 3, 10_000), "allowed", "none"),
    pytest.param("lora", (ONE, 3, 150), (TWO, 2, 10_000), "all", "none", marks=pytest.mark.drill),
    pytest.param("full", (TWO, 3, 150), (ONE, 1, 10_000), "all", "none", marks=pytest.mark.drill),
    pytest.param("full", (ONE, 2, 150), (TWO, 3, 300), "allowed", "none", marks=pytest.mark.drill),
    pytest.param("lora", (ONE, 2, 150), (TWO, 2, 10_000), "all", "nf4", marks=NEEDS_BITSANDBYTES),
]


@pytest.mark.parametrize(("name", "begin", "go_on", "loss_over", "load_in"), DIVISIONS)
def test_a_training_divided_in_any_way_and_gone_on_with_in_another_equals_plain_torch(
    name, begin, go_on, loss_over, load_in, folder, config, local_ray, tmp_path
):
    config = with_settings(config, "llm", load_in=load_in)

    def divided(division):
        _, zero_stage, tokens = division
        return with_settings(config, "llm", zero_stage=zero_stage, micro_batch_tokens=tokens, loss_over=loss_over)

    run, stage = a_run(tmp_path / "run"), stage_of(name, folder)
    losses, gradient, weights = train_in_plain_torch(config, stage, loss_over)
    with pytest.raises(WorkerGroupError, match="killed by the test"):
        train(divided(begin), begin[0], run, stage, die_after_one_step)
    (checkpoint,) = (done.parent for done in run.path("train", f"llm-{name}").glob("*/done.json"))
    state, position = read_state(checkpoint)
    assert position["step"] == position["n_updates"] == 1
    assert position["losses"] == pytest.approx(losses[:1], abs=1e-5)
    assert state.keys() == gradient.keys()
    for key, expected in gradient.items():  # the first moment is a tenth of the gradient
        torch.testing.assert_close(state[key][1] * 10, expected, atol=1e-5, rtol=0)
        assert state[key].dtype == torch.float32

    last = train(divided(go_on), go_on[0], run, stage)
    state, position = read_state(last)
    assert (position["epoch"], position["n_updates"]) == (1, 3)
    metrics = json.loads((run.path("train", f"llm-{name}") / "checkpoint_manager_snapshot.json").read_bytes())
    assert metrics["latest_checkpoint_result"]["metrics"]["loss"] == pytest.approx(sum(losses) / 3, abs=1e-4)
    for key, expected in weights.items():
        if "k_proj.bias" not in key:  # its gradient is zero but for rounding, which AdamW enlarges
            torch.testing.assert_close(
                state[key][0], expected, atol=LR[name] * 0.05, rtol=0, msg=lambda m, k=key: k + m
            )
    saved = load_file(last / "model" / ("adapter_model.safetensors" if name == "lora" else "model.safetensors"))
    assert {key.replace(".default", "") for key in state} == set(saved)
    assert all(torch.equal(saved[key.replace(".default", "")], tensor[0]) for key, tensor in state.items())
    # Nothing that would be unpickled.
    assert {path.suffix for path in last.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".md", ".jinja"}


@pytest.mark.parametrize(
    ("name", "gradient_checkpointing"), [("lora", True), pytest.param("full", False, marks=pytest.mark.drill)]
)
def test_zero_3_shards_while_loading_and_gathers_at_most_one_layer(
    name, gradient_checkpointing, folder, config, local_ray, tmp_path
):
    run, stage = a_run(tmp_path / "run"), stage_of(name, folder)
    mine = with_settings(
        config, "llm", zero_stage=3, workers=TWO, gradient_checkpointing=gradient_checkpointing, loss_over="all"
    )
    run_training(measure_shards, {"config": mine, "run": run, "stage": stage}, run, "llm-shards", TWO)
    for rank in range(2):
        facts = read_json(run.path(f"facts-{rank}.json"))
        assert facts["shard"] <= 0.55 * facts["all"]
        assert facts["loaded"] == facts["stepped"] == 0
        assert facts["kept_mib"] < 30  # of 240; under ZeRO-3 a worker frees blocks all the time
        largest = max(facts["layer"], facts["embeddings"])
        assert largest < 0.2 * facts["all"]
        for phase in ("loading", "forward", "backward"):
            assert 0 < max(facts[phase]) <= largest, phase
        assert facts["finite"][0] is None
        assert (facts["finite"][1] is None) == (rank == 0)


def test_weights_that_only_one_worker_sees_to_be_damaged_end_the_training_in_all(folder, config, local_ray, tmp_path):
    shutil.copytree(folder / "base", tmp_path / "base")
    spoil_weight(tmp_path / "base" / "model.safetensors", name="model.layers.5.mlp.up_proj.weight")
    stage = dataclasses.replace(stage_of("lora", folder), base=str(tmp_path / "base"))
    with pytest.raises(NotFiniteError, match=r"model.safetensors: expected finite weights, .*up_proj.weight"):
        train(with_settings(config, "llm", zero_stage=3), TWO, a_run(tmp_path / "run"), stage)


def test_examples_longer_than_a_pass_are_counted_and_told(folder, config, caplog):
    train_set = read_train_set(folder / "examples", "allowed")
    longest = max(train_set.n_tokens)
    n_long = sum(n > 70 for n in train_set.n_tokens)
    assert 0 < n_long < 21
    with caplog.at_level("WARNING", logger=log.name):
        warn_of_long_examples(train_set.n_tokens, longest, "lora")
        assert caplog.text == ""
        warn_of_long_examples(train_set.n_tokens, 70, "lora")
    assert f"LLM (lora): {n_long} of 21 training sentences have" in caplog.text
    assert f"the longest has {longest}" in caplog.text


@pytest.mark.parametrize("loss_over", ["all", "allowed"])
def test_the_positions_of_the_loss_are_counted_as_the_loss_counts_them(folder, loss_over):
    stage = stage_of("full", folder)
    llm = load_llm(stage.base, TYPES, instruction="", dtype="float32")
    sft_loss, train_set = SftLoss(llm, loss_over), read_train_set(stage.examples_folder, loss_over)
    examples = [train_set.examples[i] for i in range(21)]
    assert train_set.n_loss_positions == [len(sft_loss._list_loss_positions([example])) for example in examples]
    assert train_set.n_tokens == [len(example) + 1 for example in examples]

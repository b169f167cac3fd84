"""Training loops of tests, in a module that Ray's workers can import."""

import math

from rayner.cluster.ray_train import set_up_this_worker
from rayner.modeling.finite_weights import find_non_finite_weight
from rayner.runs.json_files import write_json
from rayner.steps.training import deepspeed_worker
from rayner.steps.training.deepspeed_engine import build_engine
from rayner.steps.training.deepspeed_worker import read_train_set, train_on_worker
from tests.freed_memory import measure_kept_mib


def die_after_one_step(loop_settings):
    """Every worker fails in its second step, after the checkpoint of the first."""
    first = deepspeed_worker._train_step

    def second(*args):
        raise RuntimeError("killed by the test")

    def step(*args):
        deepspeed_worker._train_step = second
        return first(*args)

    deepspeed_worker._train_step = step
    train_on_worker(loop_settings)


def measure_shards(loop_settings):
    """Do one step under ZeRO-3 and write what this worker holds: `whole` counts numbers of gathered parameters."""
    from deepspeed.runtime.zero.partition_parameters import GatheredParameters, ZeroParamStatus
    from deepspeed.runtime.zero.partitioned_param_coordinator import PartitionedParameterCoordinator as Coordinator

    config, run, stage = (loop_settings[key] for key in ("config", "run", "stage"))
    rank, world_size = set_up_this_worker(config.llm.workers)
    facts = {"loading": [], "forward": [], "backward": []}
    enter, fetch = GatheredParameters.__enter__, Coordinator.fetch_sub_module

    def watched_enter(self):
        facts["loading"].append(sum(p.ds_numel for p in getattr(self, "params", [])))  # none if nothing is sharded
        return enter(self)

    def whole():
        return sum(p.ds_numel for p in llm.model.parameters() if p.ds_status == ZeroParamStatus.AVAILABLE)

    def watched_fetch(self, module, forward):
        fetch(self, module, forward)
        facts["forward" if forward else "backward"].append(whole())

    GatheredParameters.__enter__ = watched_enter
    engine, llm = build_engine(config, run, stage.base, lr=stage.lr, lora=stage.name == "lora")
    GatheredParameters.__enter__ = enter
    numel = {name: p.ds_numel for name, p in llm.model.named_parameters()}
    facts |= {
        "shard": sum(p.ds_tensor.numel() for p in llm.model.parameters()),
        "all": sum(numel.values()),
        "layer": sum(n for name, n in numel.items() if ".layers.0." in name),
        "embeddings": sum(n for name, n in numel.items() if "embed_tokens" in name),
        "loaded": whole(),
    }
    engine.train()
    Coordinator.fetch_sub_module = watched_fetch
    worker = deepspeed_worker.TrainWorker(engine, llm, config, stage, rank, world_size)
    deepspeed_worker._train_step(worker, read_train_set(stage.examples_folder, config.llm.loss_over), range(8))
    Coordinator.fetch_sub_module = fetch
    facts["stepped"] = whole()
    facts["kept_mib"] = measure_kept_mib()
    facts["finite"] = [find_non_finite_weight(llm.model)]
    if rank == 1:
        dict(llm.model.named_parameters())[min(numel)].ds_tensor.data[0] = math.nan
    facts["finite"].append(find_non_finite_weight(llm.model))
    write_json(run.path(f"facts-{rank}.json"), facts)

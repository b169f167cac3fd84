"""Private names of Ray and DeepSpeed stand in one file, which was tested with the version of Ray that is installed."""

import ast
import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from rayner.cluster import compat
from rayner.cluster.environment import (
    LOGGER_LEVELS,
    QUIET_ENVIRONMENT,
    QUIET_FUNCTION,
    quiet_loggers,
    worker_environment,
)

ROOT = Path(__file__).parents[2]
LIBRARIES = ("ray", "deepspeed", "torch")


def test_the_installed_ray_is_the_one_that_the_private_names_were_tested_with():
    assert ray.__version__ == compat.TESTED_RAY, (
        f"rayner/cluster/compat.py was tested with Ray {compat.TESTED_RAY}, found {ray.__version__}: check each "
        "private name there against the new version, run tests/cluster, then set TESTED_RAY"
    )


def private_names(path):
    """Names of libraries that begin with an underscore, imported or reached through a module, in a source file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from (part for part in parts if part.startswith("_"))
        elif isinstance(node, ast.Import):
            parts = [part for alias in node.names for part in alias.name.split(".")]
            yield from (part for part in parts if parts[0] in LIBRARIES and part.startswith("_"))
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and node.attr != "__version__":
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in LIBRARIES:
                yield node.attr


def test_no_other_file_uses_private_names():
    found = {path: set(private_names(path)) for path in (ROOT / "rayner").rglob("*.py")}
    assert {path.relative_to(ROOT).as_posix() for path, names in found.items() if names} == {"rayner/cluster/compat.py"}
    assert found[ROOT / "rayner/cluster/compat.py"] == {
        "_TorchBackend", "_internal", "__compatible_ops__", "_private", "_global_node"
    }  # fmt: skip


def test_worker_start_errors_are_errors():
    assert all(issubclass(error, Exception) for error in compat.WORKER_START_ERRORS)


@pytest.mark.parametrize("started", [True, False])
def test_a_training_has_all_of_rays_callbacks_but_those_that_do_nothing(tmp_path, monkeypatch, started):
    monkeypatch.setattr(compat, "this_process_started_ray", lambda: started)
    settings = {"scaling_config": ScalingConfig(num_workers=2), "run_config": RunConfig(storage_path=str(tmp_path))}
    mine, rays = (
        {type(each) for each in trainer(print, **settings)._create_default_callbacks()}
        for trainer in (compat.TrainerWithFewProcesses, TorchTrainer)
    )
    assert rays - mine == {compat.DatasetsCallback, *([compat.PlacementGroupCleanerCallback] if started else [])}
    assert len(mine) > 3
    assert mine < rays


@pytest.mark.slow
def test_a_process_knows_whether_it_started_ray(local_ray):
    assert compat.this_process_started_ray()
    address = ray.get_runtime_context().gcs_address
    code = (
        f"import ray; from rayner.cluster.compat import this_process_started_ray as started; print(started()); "
        f"ray.init({address!r}, logging_level='ERROR', log_to_driver=False); print(started())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("snapshot", [b"", b"{}", b"[]", b'{"checkpoint_results": [{}]}', b'{"checkpoint_results": '])
def test_a_snapshot_that_was_cut_off_is_an_error(snapshot):
    with pytest.raises((ValueError, KeyError, TypeError)):
        compat.checkpoint_names(snapshot)


def environment_after(code, **variables):
    """What a fresh process added to its environment, or changed there, by some code."""
    code = f"import json, os; before = dict(os.environ); {code}; " + (
        "print(json.dumps({k: v for k, v in os.environ.items() if before.get(k) != v}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT), **variables},
    )  # fmt: skip
    return ast.literal_eval(out.stdout)


def test_importing_the_room_leaves_the_environment_alone():
    assert environment_after("import rayner.cluster, rayner.cluster.environment, rayner.cli.jobs.running") == {}


def test_the_quiet_environment_is_set_when_it_is_asked_for():
    call = "from rayner.cluster.environment import set_quiet_environment; set_quiet_environment()"
    assert environment_after(call) == {**QUIET_ENVIRONMENT, "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5"}
    kept = environment_after(call, RAY_TRAIN_HEALTH_CHECK_INTERVAL_S="3")
    assert kept == QUIET_ENVIRONMENT


def test_workers_get_what_was_set_outside(monkeypatch):
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "3")
    assert worker_environment()["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] == "3"


# ---- lines that users can do nothing about


def test_the_loggers_that_are_quiet_exist_in_the_installed_ray():
    for name in LOGGER_LEVELS:
        assert importlib.util.find_spec(name), name
    module, _, function = QUIET_FUNCTION.rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))


def test_quiet_loggers_print_errors_but_no_lines_that_users_can_do_nothing_about(caplog):
    deepspeed = logging.getLogger("DeepSpeed")
    levels = {name: logging.getLogger(name).level for name in LOGGER_LEVELS}
    try:
        quiet_loggers()
        quiet_loggers()
        deepspeed.addHandler(caplog.handler)
        for name in ("ray._private.services", "ray.train.torch.config"):
            logging.getLogger(name).info("lost")
        logging.getLogger("ray._private.services").warning("lost")
        deepspeed.warning("Setting accelerator to CPU. If you have GPU or other accelerator, we were unable ...")
        deepspeed.warning("gradients overflow")
        logging.getLogger("ray._private.services").error("no Ray")
        said = [record.getMessage() for record in caplog.records if record.name in {"DeepSpeed", *LOGGER_LEVELS}]
    finally:
        deepspeed.removeHandler(caplog.handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    assert set(said) == {"gradients overflow", "no Ray"}

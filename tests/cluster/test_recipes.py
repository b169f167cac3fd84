"""The recipes for clusters, as far as they can be judged without one: Ray's own loader and commands take them."""

import re
import shlex
from pathlib import Path

import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli as ray_commands

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLUSTER = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))


def test_ray_s_own_loader_takes_cluster_yaml():
    prepared = prepare_config(CLUSTER)
    validate_config(prepared)
    workers = len(CLUSTER["provider"]["worker_ips"])
    [kind] = prepared["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == prepared["max_workers"] == workers


def lines_starting(text: str, command: str) -> list[list[str]]:
    """The arguments of a command wherever a text has it at the start of a line or of a command."""
    joined = text.replace("\\\n", " ")
    found = re.findall(rf"^(?:.*[;&] )?{command} ([^#\n;]*)", joined, re.MULTILINE)
    return [shlex.split(arguments) for arguments in found]


def test_ray_knows_every_option_that_is_documented():
    commands = "\n".join(CLUSTER["head_start_ray_commands"] + CLUSTER["worker_start_ray_commands"])
    starts = lines_starting(f"{commands}\n{GUIDE}", "ray start")
    submissions = lines_starting(f"{README}\n{GUIDE}", "ray job submit")
    assert (len(starts), len(submissions)) == (4, 4)
    for arguments in starts:
        ray_commands.commands["start"].make_context("start", arguments)  # raises for an option that is not there
    for arguments in submissions:
        ray_commands.commands["job"].commands["submit"].make_context("submit", arguments)


def test_the_dashboard_is_bound_to_the_loopback_and_every_node_asks_for_the_token():
    [head] = [line for line in CLUSTER["head_start_ray_commands"] if "ray start" in line]
    [worker] = [line for line in CLUSTER["worker_start_ray_commands"] if "ray start" in line]
    assert "--dashboard-host=127.0.0.1" in head
    assert "RAY_AUTH_MODE=token" in head
    assert "RAY_AUTH_MODE=token" in worker


def test_the_head_is_told_to_start_ray_on_the_workers():
    [head] = [line for line in CLUSTER["head_start_ray_commands"] if "ray start" in line]
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head  # without it `ray up` warns that none would join


def test_the_rayjob_of_the_guide_runs_this_version_of_ray_with_a_token():
    [written] = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    job = yaml.safe_load(written)
    assert job["kind"] == "RayJob"
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray.__version__
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert f"rayproject/ray:{ray.__version__}-" in GUIDE

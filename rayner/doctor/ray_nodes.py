"""List the nodes that Ray counts as alive, and run one task on each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayner.doctor.probes import last_error_line

_ANSWER_SECONDS = 180.0  # a node may have to import torch from slow storage


@dataclass(frozen=True)
class RayNode:
    """A node with the resources that Ray counts for it. Memory is in bytes."""

    node_id: str
    cpus: float
    gpus: float
    memory: float


def list_alive_nodes() -> dict[str, RayNode]:
    """Return the nodes that are alive, by name. The driver's node comes first.

    The name of a node is its address. If several nodes share an address, part of the node's id is added.
    """
    rows = [row for row in ray.nodes() if row["Alive"]]
    driver_node_id = ray.get_runtime_context().get_node_id()
    rows.sort(key=lambda row: (row["NodeID"] != driver_node_id, row["NodeManagerAddress"], row["NodeID"]))
    addresses = [row["NodeManagerAddress"] for row in rows]
    nodes = {}
    for row, address in zip(rows, addresses, strict=True):
        name = address if addresses.count(address) == 1 else f"{address} ({row['NodeID'][:6]})"
        resources = row["Resources"]
        nodes[name] = RayNode(
            row["NodeID"],
            resources.get("CPU", 0.0),
            resources.get("GPU", 0.0),
            resources.get("memory", float("inf")),
        )
    return nodes


def run_on_each_node(
    nodes: Mapping[str, RayNode], function_and_arguments_for: Callable[[str], tuple[Any, ...]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Run a task on each node; return the results by node, and the errors by node where there is no result.

    Args:
        nodes: the nodes by name.
        function_and_arguments_for: takes a node's name and returns the function for its task, then the arguments.

    """
    refs = {}
    for name, node in nodes.items():
        function, *arguments = function_and_arguments_for(name)
        pinned: Any = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=pinned)(function)
        refs[name] = task.remote(*arguments)
    done, _ = ray.wait(list(refs.values()), num_returns=len(refs), timeout=_ANSWER_SECONDS)
    results, failures = {}, {}
    for name, ref in refs.items():
        if ref not in done:
            failures[name] = f"none within {_ANSWER_SECONDS:g} seconds"
            continue
        try:
            results[name] = ray.get(ref)
        except RayError as error:
            failures[name] = last_error_line(error)
    return results, failures

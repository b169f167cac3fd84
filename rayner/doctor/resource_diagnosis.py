"""Turn what the nodes report of their CPUs, GPUs and memory, and what the stages need, into findings."""

from collections import Counter
from collections.abc import Sequence

from rayner.doctor.diagnosis import Finding, failed_finding, list_nodes_by_value, ok_finding, on_n_nodes
from rayner.doctor.node_facts import NodeFacts
from rayner.steps.requirements import GPU_MEMORY_REMEDY, StageNeed, count_fitting_processes, format_bytes


def check_placement(needs: Sequence[StageNeed], nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Check that the nodes have room for all processes of each stage at once.

    The CPUs and GPUs of one process must be on the same node.
    """
    findings = []
    resources = [(node.cpus, node.gpus) for node in nodes]
    for need in needs:
        places = sum(count_fitting_processes(need, resources))
        if places < need.processes:
            expected = f"{need.processes} times {need.cpus:g} CPUs and {need.gpus:g} GPUs, each on one node"
            remedy = f"lower {need.key}, or add nodes"
            findings.append(failed_finding(need.key, expected, f"room for {places}", remedy))
    listed = ", ".join(f"{need.key} {need.processes} x ({need.cpus:g} CPUs, {need.gpus:g} GPUs)" for need in needs)
    return findings or [ok_finding("room", listed)]


def check_memory(needs: Sequence[StageNeed], nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Check that the free memory of each node is enough for the processes that can run there at the same time.

    Each training runs alone. The processes of scoring run together. What the processes of a node share counts once.
    """
    findings = []
    for stage, bytes_by_node in _stage_bytes_by_node(needs, nodes).items():
        pairs = zip(nodes, bytes_by_node, strict=True)
        short = [(node, n_bytes) for node, n_bytes in pairs if n_bytes > node.free_memory]
        if short:
            found = list_nodes_by_value({node.name: f"{format_bytes(node.free_memory)} free" for node, _ in short})
            most = format_bytes(max(n_bytes for _, n_bytes in short))
            remedy = (
                f"configure fewer processes or more CPUs for each ({stage}), set llm.dtype=bfloat16, "
                "or use nodes with more memory"
            )
            findings.append(failed_finding("memory", f"{most} for the processes of {stage}", found, remedy))
    listed = ", ".join(
        f"{need.key} {format_bytes(need.host_bytes)} each"
        + (f" and {format_bytes(need.shared_bytes)} together" if need.shared_bytes else "")
        for need in needs
    )
    least = min(node.free_memory for node in nodes)
    return findings or [ok_finding("memory", f"{listed}; at least {format_bytes(least)} free {on_n_nodes(nodes)}")]


def _stage_bytes_by_node(needs: Sequence[StageNeed], nodes: Sequence[NodeFacts]) -> dict[str, list[int]]:
    """Compute for each stage the bytes that its processes need on each node.

    A node gets as many processes as it has room for, but no more than the stage has.
    """
    resources = [(node.cpus, node.gpus) for node in nodes]
    totals: dict[str, list[int]] = {}
    for need in needs:
        stage = need.key if need.key.endswith(".workers") else "score"
        n_bytes = [
            min(need.processes, places) * need.host_bytes + (need.shared_bytes if places else 0)
            for places in count_fitting_processes(need, resources)
        ]
        totals[stage] = [a + b for a, b in zip(totals.get(stage, [0] * len(nodes)), n_bytes, strict=True)]
    return totals


def check_gpus(needs: Sequence[StageNeed], nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Check that torch sees the GPUs that Ray assigns, and that each stage's model fits on the smallest GPU."""
    findings = []
    for node in nodes:
        if len(node.torch_gpus) < node.gpus:
            found = f"{len(node.torch_gpus)}" + (f" ({node.torch_gpus_error})" if node.torch_gpus_error else "")
            remedy = "install the build of torch that fits the driver there, or start Ray with fewer --num-gpus"
            findings.append(failed_finding("GPUs", f"torch on {node.name} to see {node.gpus:g} GPUs", found, remedy))
    gpus = [(gpu.n_bytes, gpu.name, node.name) for node in nodes for gpu in node.torch_gpus]
    gpu_needs = [need for need in needs if need.gpu_bytes]
    if gpus:
        n_bytes, model, node_name = min(gpus)
        for need in gpu_needs:
            available = n_bytes * min(1.0, need.gpus)
            if need.gpu_bytes > available:
                expected = f"{format_bytes(need.gpu_bytes)} for {need.key} ({need.describe_parts()})"
                found = f"{format_bytes(available)} ({model}) on {node_name}"
                findings.append(failed_finding("GPU memory", expected, found, GPU_MEMORY_REMEDY))
    counts = Counter(f"{model} of {format_bytes(n_bytes)}" for n_bytes, model, _ in gpus)
    listed = ", ".join(f"{count} x {gpu}" for gpu, count in counts.items()) or "none, and Ray has none"
    needed = "".join(f"; {need.key} {format_bytes(need.gpu_bytes)}" for need in gpu_needs)
    return findings or [ok_finding("GPUs", listed + needed)]

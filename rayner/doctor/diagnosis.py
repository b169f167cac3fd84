"""Turn the facts that the nodes report into findings. Each check takes facts that `checks` collected."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rayner.doctor.node_facts import DIGEST, FOLDER, MISSING, NodeFacts
from rayner.steps.requirements import DiskNeed, format_bytes


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's output. It says what is fine, or what is wrong and how to repair it."""

    ok: bool
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'FAIL':<4} {self.subject}: {self.message}"


def ok_finding(subject: str, message: str) -> Finding:
    """Make the finding of a check that passed."""
    return Finding(True, subject, message)


def failed_finding(subject: str, expected: str, found: str, remedy: str) -> Finding:
    """Make the finding of a check that failed, with what was expected, what was found, and how to repair it."""
    return Finding(False, subject, f"expected {expected}, found {found}; {remedy}")


def join_names(names: Iterable[str], limit: int = 5) -> str:
    """Join the first `limit` names with commas and say how many more there are."""
    all_names = list(names)
    rest = f" and {len(all_names) - limit} more" if len(all_names) > limit else ""
    return ", ".join(all_names[:limit]) + rest


def on_n_nodes(nodes: Sequence[NodeFacts]) -> str:
    """Return the number of nodes in words, such as `on 1 node` or `on 3 nodes`."""
    return f"on {len(nodes)} node{'s' if len(nodes) > 1 else ''}"


def list_nodes_by_value(value_by_node: Mapping[str, str]) -> str:
    """List each value with the nodes that have it, such as `2.13.0 on a, b; 2.12.0 on c`."""
    nodes_by_value: dict[str, list[str]] = {}
    for node, value in value_by_node.items():
        nodes_by_value.setdefault(value, []).append(node)
    return "; ".join(f"{value} on {join_names(nodes)}" for value, nodes in nodes_by_value.items())


def check_answers(alive: Sequence[str], failures: Mapping[str, str]) -> list[Finding]:
    """Check that every node ran the doctor's task.

    Args:
        alive: names of the nodes that Ray counts as alive.
        failures: for each node that did not run the task, the reason.

    """
    if not failures:
        return [ok_finding("nodes", f"{len(alive)} answered: {join_names(alive)}")]
    remedy = "install rayner and its packages there, and open the ports between the nodes"
    return [failed_finding("nodes", f"an answer from {node}", error, remedy) for node, error in failures.items()]


def check_versions(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Check that all nodes have the same package versions.

    A CPU build and a CUDA build of the same torch version count as the same version.
    """
    findings = []
    for package in nodes[0].versions:
        versions = {node.name: node.versions[package] for node in nodes}
        if len({version.partition("+")[0] for version in versions.values()}) > 1 or MISSING in versions.values():
            remedy = "install what requirements.lock pins, with the same Python, on every node"
            expected = f"the same {package} on every node"
            findings.append(failed_finding("versions", expected, list_nodes_by_value(versions), remedy))
    listed = ", ".join(f"{name} {version}" for name, version in nodes[0].versions.items())
    return findings or [ok_finding("versions", f"alike {on_n_nodes(nodes)}: {listed}")]


def check_input_files_are_alike(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Check that every input exists on every node, and that an input file has the same content on all nodes."""
    findings = []
    for path, state in nodes[0].file_states.items():
        states = {node.name: node.file_states[path] for node in nodes}
        subject = f"input {path}"
        if len(set(states.values())) > 1 or not state.startswith((DIGEST, FOLDER)):
            remedy = "put it on storage that all nodes share, or copy it to the same path on each node"
            findings.append(failed_finding(subject, "the same on every node", list_nodes_by_value(states), remedy))
        else:
            findings.append(ok_finding(subject, f"alike {on_n_nodes(nodes)} ({state})"))
    return findings


def check_run_folder(root: str, nodes: Sequence[NodeFacts], read_errors: Mapping[str, str]) -> list[Finding]:
    """Check that each node can write into the run folder and read the files of the other nodes.

    Args:
        root: the run folder.
        nodes: the facts of the nodes, with their write errors.
        read_errors: error messages. A key names the reading and the writing node: `reader from writer`.

    """
    subject = f"run {root}"
    write_errors = {node.name: node.write_error for node in nodes if node.write_error}
    if write_errors:
        remedy = "choose a run= that every node can write, on storage that they share"
        return [failed_finding(subject, "a folder that can be written", list_nodes_by_value(write_errors), remedy)]
    if read_errors:
        found = join_names(f"{error} on {pair}" for pair, error in read_errors.items())
        remedy = "choose a run= on storage that all nodes share"
        return [failed_finding(subject, "to read on each node what the others wrote", found, remedy)]
    return [ok_finding(subject, f"a test file was written {on_n_nodes(nodes)}, read on all of them, and removed")]


def check_disk(need: DiskNeed, nodes: Sequence[NodeFacts], present_bytes: int = 0) -> list[Finding]:
    """Check the free disk space for the run folder, the tagged corpus and temporary folders.

    The run folder and the tagged corpus are checked on the first node, and the temporary folder on every node.

    Args:
        need: bytes that each folder needs.
        nodes: the facts of the nodes.
        present_bytes: size of the files that the run folder already holds.

    """
    needed = {"run": max(0, need.run_bytes - present_bytes), "out": need.out_bytes, "temporary": need.temporary_bytes}
    findings = []
    for node in nodes:
        uses_by_device: dict[int, list[str]] = {}
        for use, disk in node.disks.items():
            if node is nodes[0] or use == "temporary":
                uses_by_device.setdefault(disk.device, []).append(use)
        for uses in uses_by_device.values():
            disk, total = node.disks[uses[0]], sum(needed[use] for use in uses)
            if total > disk.free_bytes:
                parts = " + ".join(f"{use} {format_bytes(needed[use])}" for use in uses)
                expected = f"{format_bytes(total)} ({parts}, estimated)"
                found = f"{format_bytes(disk.free_bytes)} free in {disk.folder} on {node.name}"
                remedy = "free some space, or use another file system (run=, out=, TMPDIR)"
                findings.append(failed_finding("disk", expected, found, remedy))
    listed = ", ".join(
        f"{use} {format_bytes(needed[use])} of {format_bytes(disk.free_bytes)}" for use, disk in nodes[0].disks.items()
    )
    return findings or [ok_finding("disk", f"{listed} free on {nodes[0].name}, estimated")]


def list_compilers(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """List the compilers of each node. This always passes: rayner turns off the parts of DeepSpeed that compile."""
    tools = {node.name: ", ".join(f"{tool} {state}" for tool, state in node.tools.items()) for node in nodes}
    return [ok_finding("compiler", f"{list_nodes_by_value(tools)}; none is needed")]


def check_token(nodes: Sequence[NodeFacts], *, is_local: bool = False) -> list[Finding]:
    """Check that every node requires a token and has one, and that only the owner can read the token's file.

    is_local: whether Ray runs on this machine alone, for the doctor. Such a Ray ends with the job. A token that other
        users may read is then a hint and no failure.
    """
    modes = {node.name: node.token.auth_mode for node in nodes if node.token.auth_mode != "token"}
    if modes:
        found = list_nodes_by_value({name: f"RAY_AUTH_MODE={mode or '(unset)'}" for name, mode in modes.items()})
        remedy = "export RAY_AUTH_MODE=token on every node before `ray start`, with the same ~/.ray/auth_token on each"
        return [failed_finding("token", "RAY_AUTH_MODE=token on every node", found, remedy)]
    absent = {node.name: f"none in {node.token.source}" for node in nodes if not node.token.present}
    if absent:
        remedy = "run `ray get-auth-token --generate` on the head and copy ~/.ray/auth_token to every node"
        return [failed_finding("token", "the cluster's token on every node", list_nodes_by_value(absent), remedy)]
    readable = {
        node.name: f"mode {node.token.mode:o} of {node.token.source}"
        for node in nodes
        if node.token.mode is not None and node.token.mode & 0o077
    }
    if readable and is_local:
        hint = f"required and present, but other users of this machine can read it ({', '.join(readable.values())})"
        return [ok_finding("token", f"{hint}: if there are any whom you do not trust, run chmod 600 on it")]
    if readable:
        remedy = "run chmod 600 on it: whoever reads the token controls the cluster"
        expected = "a file that only its owner can read (mode 600)"
        return [failed_finding("token", expected, list_nodes_by_value(readable), remedy)]
    return [ok_finding("token", f"required and present {on_n_nodes(nodes)}, only its owner can read it")]


def check_dashboard_exposure(url: str, nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Check that only authorised users can reach the dashboard, because it accepts jobs.

    The check passes if the dashboard listens only on the loopback address. It also passes if all nodes require the
    token and the dashboard's node has no public address.
    """
    if not url:
        return [ok_finding("dashboard", "none runs")]
    host = next((node for node in nodes if node.dashboard_addresses), None)
    addresses = host.dashboard_addresses if host else [url.rpartition(":")[0]]
    exposed = [address for address in addresses if not address.startswith("127.") and address != "::1"]
    requires_token = all(node.token.auth_mode == "token" for node in nodes)
    if not exposed:
        return [ok_finding("dashboard", f"{url}, only on the loopback address")]
    if requires_token and not (host and host.has_public_address):
        message = f"{url}, on {join_names(exposed)}: a private network, and it requires the token"
        return [ok_finding("dashboard", message)]
    remedy = "start the head with --dashboard-host=127.0.0.1 and reach it through `ssh -L 8265:127.0.0.1:8265 HEAD`"
    expected = f"{url} only on the loopback address"
    return [failed_finding("dashboard", expected, f"it on {join_names(exposed)}", remedy)]


def check_ports(gcs_address: str, nodes: Sequence[NodeFacts], transfer_errors: Mapping[str, str]) -> list[Finding]:
    """Check that every node can connect to the head's port, and that an object of the driver reaches every node.

    Args:
        gcs_address: HOST:PORT of the head.
        nodes: the facts of the nodes.
        transfer_errors: for each node that the driver's object did not reach, the reason.

    """
    remedy = "open the ports between all nodes (of the head, node and object managers, and workers)"
    closed = {node.name: node.head_error for node in nodes if node.head_error}
    if closed:
        expected = f"the head's port {gcs_address} open to every node"
        return [failed_finding("ports", expected, list_nodes_by_value(closed), remedy)]
    if transfer_errors:
        return [
            failed_finding("ports", f"an object of the driver to reach {node}", error, remedy)
            for node, error in transfer_errors.items()
        ]
    return [ok_finding("ports", f"{gcs_address} reached {on_n_nodes(nodes)}, and an object passed to each")]

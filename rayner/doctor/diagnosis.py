"""The doctor's judgement: facts about the nodes in, one line for each matter out. `doctor` gathers the facts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rayner.steps.requirements import DiskNeed, StageNeed, count_places, format_bytes

MISSING = "nothing"
FOLDER = "a folder"
DIGEST = "sha256 "


@dataclass(frozen=True)
class Finding:
    """One line: what is well, or what is wrong and what to do."""

    ok: bool
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'FAIL':<4} {self.subject}: {self.message}"


@dataclass(frozen=True)
class TokenStatus:
    """Where a node finds the cluster's token. mode: the permissions of its file; None where there is no file."""

    auth_mode: str
    source: str
    present: bool
    mode: int | None = None


@dataclass(frozen=True)
class DiskSpace:
    """Free bytes of the file system that holds a folder, and what tells file systems of a node apart."""

    folder: str
    free_bytes: int
    device: int


@dataclass(frozen=True)
class NodeFacts:
    """What a node told of itself."""

    name: str
    cpus: float
    gpus: float
    versions: Mapping[str, str]
    free_memory: int
    torch_gpus: Sequence[tuple[str, int]] = ()  # name and bytes of each GPU that torch sees
    torch_gpus_error: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    token: TokenStatus = TokenStatus("", "", False)
    file_states: Mapping[str, str] = field(default_factory=dict)  # DIGEST and its digits, FOLDER, or what is wrong
    model_errors: Mapping[str, str] = field(default_factory=dict)  # by key; empty, or why it does not load
    disks: Mapping[str, DiskSpace] = field(default_factory=dict)
    head_error: str = ""  # empty, or why the head's port could not be reached
    write_error: str | None = None  # empty, or why nothing could be written into the run folder
    dashboard_addresses: Sequence[str] = ()  # its addresses at the dashboard's port
    has_public_address: bool = False  # it has an address on the internet


def ok_finding(what: str, text: str) -> Finding:
    """All is well."""
    return Finding(True, what, text)


def failed_finding(what: str, expected: str, found: str, todo: str) -> Finding:
    """Something is wrong."""
    return Finding(False, what, f"expected {expected}, found {found}; {todo}")


def join_names(names: Iterable[str], limit: int = 5) -> str:
    """Names, the first few of them."""
    every = list(names)
    rest = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + rest


def on_n_nodes(nodes: Sequence[NodeFacts]) -> str:
    """Such as `on 1 node`."""
    return f"on {len(nodes)} node{'s' if len(nodes) > 1 else ''}"


def describe_by_node(values: Mapping[str, str]) -> str:
    """Values with the nodes that have them: `2.13.0 on a, b; 2.12.0 on c`."""
    at: dict[str, list[str]] = {}
    for node, value in values.items():
        at.setdefault(value, []).append(node)
    return "; ".join(f"{value} on {join_names(nodes)}" for value, nodes in at.items())


def check_answers(alive: Sequence[str], failures: Mapping[str, str]) -> list[Finding]:
    """Whether every node that Ray has ran a task of ours. silent: why not, by node."""
    if not failures:
        return [ok_finding("nodes", f"{len(alive)} answered: {join_names(alive)}")]
    todo = "see that rayner and its packages are installed there, and that the ports between nodes are open"
    return [failed_finding("nodes", f"an answer from {node}", why, todo) for node, why in failures.items()]


def check_versions(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Packages alike everywhere; builds of torch for CPU and for CUDA may stand side by side."""
    out = []
    for package in nodes[0].versions:
        values = {node.name: node.versions[package] for node in nodes}
        if len({value.partition("+")[0] for value in values.values()}) > 1 or MISSING in values.values():
            todo = "install what requirements.lock pins, with the same Python, on every node"
            out.append(failed_finding("versions", f"the same {package} on every node", describe_by_node(values), todo))
    told = ", ".join(f"{name} {version}" for name, version in nodes[0].versions.items())
    return out or [ok_finding("versions", f"alike {on_n_nodes(nodes)}: {told}")]


def check_placement(needs: Sequence[StageNeed], nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Each worker and actor has its CPUs and GPUs on one node, and all of a stage have them at once."""
    out = []
    have = [(node.cpus, node.gpus) for node in nodes]
    for need in needs:
        places = sum(count_places(need, have))
        if places < need.processes:
            each = f"{need.processes} times {need.cpus:g} CPUs and {need.gpus:g} GPUs, each on one node"
            out.append(failed_finding(need.key, each, f"room for {places}", f"lower {need.key}, or add nodes"))
    told = ", ".join(f"{need.key} {need.processes} x ({need.cpus:g} CPUs, {need.gpus:g} GPUs)" for need in needs)
    return out or [ok_finding("room", told)]


def check_memory(needs: Sequence[StageNeed], nodes: Sequence[NodeFacts]) -> list[Finding]:
    """As many processes as may meet on a node fit its free memory: those of a training, or of both scoring stages."""
    have = [(node.cpus, node.gpus) for node in nodes]
    stages: dict[str, list[int]] = {}  # bytes on each node, at worst
    for need in needs:
        stage = need.key if need.key.endswith(".workers") else "score"
        own = [min(need.processes, places) * need.host_bytes for places in count_places(need, have)]
        stages[stage] = [a + b for a, b in zip(stages.get(stage, [0] * len(own)), own, strict=True)]
    out = []
    for stage, wanted in stages.items():
        short = [(node, size) for node, size in zip(nodes, wanted, strict=True) if size > node.free_memory]
        if short:
            found = describe_by_node({node.name: f"{format_bytes(node.free_memory)} free" for node, _ in short})
            most = format_bytes(max(size for _, size in short))
            todo = f"fewer processes or more CPUs for each ({stage}), dtype=bfloat16, or nodes with more memory"
            out.append(failed_finding("memory", f"{most} for the processes of {stage}", found, todo))
    told = ", ".join(f"{need.key} {format_bytes(need.host_bytes)} each" for need in needs)
    least = min(node.free_memory for node in nodes)
    return out or [ok_finding("memory", f"{told}; at least {format_bytes(least)} free {on_n_nodes(nodes)}")]


def check_gpus(needs: Sequence[StageNeed], nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Torch sees the GPUs that Ray gives away, and the model of each stage fits the smallest."""
    out = []
    for node in nodes:
        if len(node.torch_gpus) < node.gpus:
            found = f"{len(node.torch_gpus)}" + (f" ({node.torch_gpus_error})" if node.torch_gpus_error else "")
            todo = "install the build of torch that fits the driver there, or start Ray with fewer --num-gpus"
            out.append(failed_finding("GPUs", f"torch on {node.name} to see {node.gpus:g} GPUs", found, todo))
    every = [(size, name, node.name) for node in nodes for name, size in node.torch_gpus]
    wanting = [need for need in needs if need.gpu_bytes]
    if every:
        size, name, where = min(every)
        for need in wanting:
            share = min(1.0, need.gpus)
            if need.gpu_bytes > size * share:
                todo = "take dtype=bfloat16, a smaller model, or larger GPUs"
                found = f"{format_bytes(size * share)} ({name}) on {where}"
                out.append(failed_finding("GPU memory", f"{format_bytes(need.gpu_bytes)} for {need.key}", found, todo))
    kinds: dict[str, int] = {}
    for size, name, _ in every:
        kinds[f"{name} of {format_bytes(size)}"] = kinds.get(f"{name} of {format_bytes(size)}", 0) + 1
    asks = "".join(f"; {need.key} {format_bytes(need.gpu_bytes)}" for need in wanting)
    told = ", ".join(f"{count} x {kind}" for kind, count in kinds.items()) or "none, and Ray has none"
    return out or [ok_finding("GPUs", told + asks)]


def check_files(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Inputs are there on every node, and alike. The first node is the one that the others are compared with."""
    out = []
    for path, own in nodes[0].file_states.items():
        values = {node.name: node.file_states[path] for node in nodes}
        name = f"input {path}"
        if len(set(values.values())) > 1 or not own.startswith((DIGEST, FOLDER)):
            todo = "put it on storage that all nodes share, or a copy at the same path of each"
            out.append(failed_finding(name, "the same on every node", describe_by_node(values), todo))
        else:
            out.append(ok_finding(name, f"alike {on_n_nodes(nodes)} ({own})"))
    return out


def check_models(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Checkpoints that the settings name have a configuration, seen from every node."""
    out = []
    for key in nodes[0].model_errors:
        wrong = {node.name: node.model_errors[key] for node in nodes if node.model_errors[key]}
        if wrong:
            todo = "give a folder that all nodes share, or load the model into the cache of each node's hub"
            out.append(failed_finding(f"model {key}", "its configuration on every node", describe_by_node(wrong), todo))
        else:
            out.append(ok_finding(f"model {key}", f"its configuration reads {on_n_nodes(nodes)}"))
    return out or [ok_finding("models", "made from scratch, nothing to load")]


def check_run_folder(root: str, nodes: Sequence[NodeFacts], read_errors: Mapping[str, str]) -> list[Finding]:
    """What each node wrote there, the others read. unread: what went wrong in reading, by `reader from writer`."""
    unwritten = {node.name: node.write_error for node in nodes if node.write_error}
    if unwritten:
        todo = "take a run= that every node can write, on storage that they share"
        return [failed_finding(f"run {root}", "a folder that can be written", describe_by_node(unwritten), todo)]
    if read_errors:
        found = join_names(f"{why} on {pair}" for pair, why in read_errors.items())
        return [failed_finding(f"run {root}", "to read on each node what the others wrote", found,
                    "take a run= on storage that all nodes share")]  # fmt: skip
    return [ok_finding(f"run {root}", f"written {on_n_nodes(nodes)}, read on all, and removed")]


def check_disk(need: DiskNeed, nodes: Sequence[NodeFacts], present_bytes: int = 0) -> list[Finding]:
    """The free space of run, tagged corpus (seen from the first node) and temporary folders is enough.

    has: bytes that lie in the run folder already.
    """
    wanted = {"run": max(0, need.run_bytes - present_bytes), "out": need.out_bytes, "temporary": need.temporary_bytes}
    out = []
    for node in nodes:
        shared: dict[int, list[str]] = {}
        for what, found in node.disks.items():
            if node is nodes[0] or what == "temporary":
                shared.setdefault(found.device, []).append(what)
        for whats in shared.values():
            free, together = node.disks[whats[0]], sum(wanted[what] for what in whats)
            if together > free.free_bytes:
                parts = " + ".join(f"{what} {format_bytes(wanted[what])}" for what in whats)
                found_there = f"{format_bytes(free.free_bytes)} free in {free.folder} on {node.name}"
                todo = "free some, or take another file system (run=, out=, TMPDIR)"
                out.append(
                    failed_finding("disk", f"{format_bytes(together)} ({parts}, by estimate)", found_there, todo)
                )
    told = ", ".join(
        f"{what} {format_bytes(wanted[what])} of {format_bytes(disk.free_bytes)}"
        for what, disk in nodes[0].disks.items()
    )
    return out or [ok_finding("disk", f"{told} free on {nodes[0].name}, by estimate")]


def check_compilers(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """What was found of compilers. None is needed: rayner switches off what DeepSpeed would compile."""
    found = {node.name: ", ".join(f"{k} {v}" for k, v in node.tools.items()) for node in nodes}
    return [ok_finding("compiler", f"{describe_by_node(found)}; none is needed")]


def check_token(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Every node asks for a token, has one, and shows its file to nobody else."""
    off = {
        node.name: f"RAY_AUTH_MODE={node.token.auth_mode or '(unset)'}"
        for node in nodes
        if node.token.auth_mode != "token"
    }
    if off:
        todo = "export RAY_AUTH_MODE=token on every node before `ray start`, with the same ~/.ray/auth_token on each"
        return [failed_finding("token", "RAY_AUTH_MODE=token on every node", describe_by_node(off), todo)]
    none = {node.name: f"none in {node.token.source}" for node in nodes if not node.token.present}
    if none:
        todo = "run `ray get-auth-token --generate` on the head and copy ~/.ray/auth_token to every node"
        return [failed_finding("token", "the cluster's token on every node", describe_by_node(none), todo)]
    wide = {
        node.name: f"mode {node.token.mode:o} of {node.token.source}"
        for node in nodes
        if node.token.mode is not None and node.token.mode & 0o077
    }
    if wide:
        todo = "chmod 600 it: whoever reads the token commands the cluster"
        return [
            failed_finding("token", "a file that its owner alone can read (mode 600)", describe_by_node(wide), todo)
        ]
    return [ok_finding("token", f"asked for and there {on_n_nodes(nodes)}, readable by its owner alone")]


def check_dashboard(url: str, nodes: Sequence[NodeFacts]) -> list[Finding]:
    """It takes jobs, so it is not open to the world; to a private network only if it asks for the token."""
    if not url:
        return [ok_finding("dashboard", "none runs")]
    host = next((node for node in nodes if node.dashboard_addresses), None)
    listens = host.dashboard_addresses if host else [url.rpartition(":")[0]]
    exposed = [address for address in listens if not address.startswith("127.") and address != "::1"]
    asks = all(node.token.auth_mode == "token" for node in nodes)
    if not exposed:
        return [ok_finding("dashboard", f"{url}, on the loopback alone")]
    if asks and not (host and host.has_public_address):
        return [
            ok_finding("dashboard", f"{url}, on {join_names(exposed)}: a private network, and it asks for the token")
        ]
    todo = "start the head with --dashboard-host=127.0.0.1 and reach it through `ssh -L 8265:127.0.0.1:8265 HEAD`"
    return [failed_finding("dashboard", f"{url} on the loopback alone", f"it on {join_names(exposed)}", todo)]


def check_ports(gcs: str, nodes: Sequence[NodeFacts], transfer_errors: Mapping[str, str]) -> list[Finding]:
    """The head's port is open to every node, and objects travel. stuck: by node, why one did not arrive."""
    todo = "open the ports between all nodes (of the head, node and object managers, and workers)"
    closed = {node.name: node.head_error for node in nodes if node.head_error}
    if closed:
        return [failed_finding("ports", f"the head's port {gcs} open to every node", describe_by_node(closed), todo)]
    if transfer_errors:
        return [
            failed_finding("ports", f"an object of the driver to reach {node}", why, todo)
            for node, why in transfer_errors.items()
        ]
    return [ok_finding("ports", f"{gcs} reached {on_n_nodes(nodes)}, and an object passed to each")]

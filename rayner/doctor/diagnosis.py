"""The doctor's judgement: facts about the nodes in, one line for each matter out. `doctor` gathers the facts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rayner.steps.requirements import DiskNeed, Need, human, seats

MISSING = "nothing"
FOLDER = "a folder"
DIGEST = "sha256 "


@dataclass(frozen=True)
class Finding:
    """One line: what is well, or what is wrong and what to do."""

    ok: bool
    what: str
    text: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'FAIL':<4} {self.what}: {self.text}"


@dataclass(frozen=True)
class Token:
    """Where a node finds the cluster's token. mode: the permissions of its file; None where there is no file."""

    auth: str
    where: str
    found: bool
    mode: int | None = None


@dataclass(frozen=True)
class Disk:
    """Free bytes of the file system that holds a folder, and what tells file systems of a node apart."""

    folder: str
    free: int
    device: int


@dataclass(frozen=True)
class Node:
    """What a node told of itself."""

    name: str
    cpus: float
    gpus: float
    versions: Mapping[str, str]
    memory: int
    cards: Sequence[tuple[str, int]] = ()  # name and bytes of each GPU that torch sees
    cards_error: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    token: Token = Token("", "", False)
    files: Mapping[str, str] = field(default_factory=dict)  # DIGEST and its digits, FOLDER, or what is wrong
    models: Mapping[str, str] = field(default_factory=dict)  # by key; empty, or why it does not load
    disks: Mapping[str, Disk] = field(default_factory=dict)
    head: str = ""  # empty, or why the head's port could not be reached
    wrote: str | None = None  # empty, or why nothing could be written into the run folder
    listens: Sequence[str] = ()  # its addresses at the dashboard's port
    public: bool = False  # it has an address on the internet


def good(what: str, text: str) -> Finding:
    """All is well."""
    return Finding(True, what, text)


def bad(what: str, expected: str, found: str, todo: str) -> Finding:
    """Something is wrong."""
    return Finding(False, what, f"expected {expected}, found {found}; {todo}")


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names, the first few of them."""
    every = list(names)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def on(nodes: Sequence[Node]) -> str:
    """Such as `on 1 node`."""
    return f"on {len(nodes)} node{'s' if len(nodes) > 1 else ''}"


def spread(values: Mapping[str, str]) -> str:
    """Values with the nodes that have them: `2.13.0 on a, b; 2.12.0 on c`."""
    at: dict[str, list[str]] = {}
    for node, value in values.items():
        at.setdefault(value, []).append(node)
    return "; ".join(f"{value} on {listed(nodes)}" for value, nodes in at.items())


def answers(alive: Sequence[str], silent: Mapping[str, str]) -> list[Finding]:
    """Whether every node that Ray has ran a task of ours. silent: why not, by node."""
    if not silent:
        return [good("nodes", f"{len(alive)} answered: {listed(alive)}")]
    todo = "see that rayner and its packages are installed there, and that the ports between nodes are open"
    return [bad("nodes", f"an answer from {node}", why, todo) for node, why in silent.items()]


def versions(nodes: Sequence[Node]) -> list[Finding]:
    """Packages alike everywhere; builds of torch for CPU and for CUDA may stand side by side."""
    out = []
    for package in nodes[0].versions:
        values = {node.name: node.versions[package] for node in nodes}
        if len({value.partition("+")[0] for value in values.values()}) > 1 or MISSING in values.values():
            todo = "install what requirements.lock pins, with the same Python, on every node"
            out.append(bad("versions", f"the same {package} on every node", spread(values), todo))
    told = ", ".join(f"{name} {version}" for name, version in nodes[0].versions.items())
    return out or [good("versions", f"alike {on(nodes)}: {told}")]


def room(needs: Sequence[Need], nodes: Sequence[Node]) -> list[Finding]:
    """Each worker and actor has its CPUs and GPUs on one node, and all of a stage have them at once."""
    out = []
    have = [(node.cpus, node.gpus) for node in nodes]
    for need in needs:
        places = sum(seats(need, have))
        if places < need.count:
            each = f"{need.count} times {need.cpus:g} CPUs and {need.gpus:g} GPUs, each on one node"
            out.append(bad(need.key, each, f"room for {places}", f"lower {need.key}, or add nodes"))
    told = ", ".join(f"{need.key} {need.count} x ({need.cpus:g} CPUs, {need.gpus:g} GPUs)" for need in needs)
    return out or [good("room", told)]


def memory(needs: Sequence[Need], nodes: Sequence[Node]) -> list[Finding]:
    """As many processes as may meet on a node fit its free memory: those of a training, or of both scoring stages."""
    have = [(node.cpus, node.gpus) for node in nodes]
    stages: dict[str, list[int]] = {}  # bytes on each node, at worst
    for need in needs:
        stage = need.key if need.key.endswith(".workers") else "score"
        own = [min(need.count, places) * need.memory for places in seats(need, have)]
        stages[stage] = [a + b for a, b in zip(stages.get(stage, [0] * len(own)), own, strict=True)]
    out = []
    for stage, wanted in stages.items():
        short = [(node, size) for node, size in zip(nodes, wanted, strict=True) if size > node.memory]
        if short:
            found = spread({node.name: f"{human(node.memory)} free" for node, _ in short})
            most = human(max(size for _, size in short))
            todo = f"fewer processes or more CPUs for each ({stage}), dtype=bfloat16, or nodes with more memory"
            out.append(bad("memory", f"{most} for the processes of {stage}", found, todo))
    told = ", ".join(f"{need.key} {human(need.memory)} each" for need in needs)
    least = min(node.memory for node in nodes)
    return out or [good("memory", f"{told}; at least {human(least)} free {on(nodes)}")]


def cards(needs: Sequence[Need], nodes: Sequence[Node]) -> list[Finding]:
    """Torch sees the GPUs that Ray gives away, and the model of each stage fits the smallest."""
    out = []
    for node in nodes:
        if len(node.cards) < node.gpus:
            found = f"{len(node.cards)}" + (f" ({node.cards_error})" if node.cards_error else "")
            todo = "install the build of torch that fits the driver there, or start Ray with fewer --num-gpus"
            out.append(bad("GPUs", f"torch on {node.name} to see {node.gpus:g} GPUs", found, todo))
    every = [(size, name, node.name) for node in nodes for name, size in node.cards]
    wanting = [need for need in needs if need.card]
    if every:
        size, name, where = min(every)
        for need in wanting:
            share = min(1.0, need.gpus)
            if need.card > size * share:
                todo = "take dtype=bfloat16, a smaller model, or larger GPUs"
                found = f"{human(size * share)} ({name}) on {where}"
                out.append(bad("GPU memory", f"{human(need.card)} for {need.key}", found, todo))
    kinds: dict[str, int] = {}
    for size, name, _ in every:
        kinds[f"{name} of {human(size)}"] = kinds.get(f"{name} of {human(size)}", 0) + 1
    asks = "".join(f"; {need.key} {human(need.card)}" for need in wanting)
    told = ", ".join(f"{count} x {kind}" for kind, count in kinds.items()) or "none, and Ray has none"
    return out or [good("GPUs", told + asks)]


def files(nodes: Sequence[Node]) -> list[Finding]:
    """Inputs are there on every node, and alike. The first node is the one that the others are compared with."""
    out = []
    for path, own in nodes[0].files.items():
        values = {node.name: node.files[path] for node in nodes}
        name = f"input {path}"
        if len(set(values.values())) > 1 or not own.startswith((DIGEST, FOLDER)):
            todo = "put it on storage that all nodes share, or a copy at the same path of each"
            out.append(bad(name, "the same on every node", spread(values), todo))
        else:
            out.append(good(name, f"alike {on(nodes)} ({own})"))
    return out


def models(nodes: Sequence[Node]) -> list[Finding]:
    """Checkpoints that the settings name have a configuration, seen from every node."""
    out = []
    for key in nodes[0].models:
        wrong = {node.name: node.models[key] for node in nodes if node.models[key]}
        if wrong:
            todo = "give a folder that all nodes share, or load the model into the cache of each node's hub"
            out.append(bad(f"model {key}", "its configuration on every node", spread(wrong), todo))
        else:
            out.append(good(f"model {key}", f"its configuration reads {on(nodes)}"))
    return out or [good("models", "made from scratch, nothing to load")]


def run_path(root: str, nodes: Sequence[Node], unread: Mapping[str, str]) -> list[Finding]:
    """What each node wrote there, the others read. unread: what went wrong in reading, by `reader from writer`."""
    unwritten = {node.name: node.wrote for node in nodes if node.wrote}
    if unwritten:
        todo = "take a run= that every node can write, on storage that they share"
        return [bad(f"run {root}", "a folder that can be written", spread(unwritten), todo)]
    if unread:
        found = listed(f"{why} on {pair}" for pair, why in unread.items())
        return [bad(f"run {root}", "to read on each node what the others wrote", found,
                    "take a run= on storage that all nodes share")]  # fmt: skip
    return [good(f"run {root}", f"written {on(nodes)}, read on all, and removed")]


def disk(need: DiskNeed, nodes: Sequence[Node], has: int = 0) -> list[Finding]:
    """The free space of run, tagged corpus (seen from the first node) and temporary folders is enough.

    has: bytes that lie in the run folder already.
    """
    wanted = {"run": max(0, need.run - has), "out": need.out, "temporary": need.temporary}
    out = []
    for node in nodes:
        shared: dict[int, list[str]] = {}
        for what, found in node.disks.items():
            if node is nodes[0] or what == "temporary":
                shared.setdefault(found.device, []).append(what)
        for whats in shared.values():
            free, together = node.disks[whats[0]], sum(wanted[what] for what in whats)
            if together > free.free:
                parts = " + ".join(f"{what} {human(wanted[what])}" for what in whats)
                found_there = f"{human(free.free)} free in {free.folder} on {node.name}"
                todo = "free some, or take another file system (run=, out=, TMPDIR)"
                out.append(bad("disk", f"{human(together)} ({parts}, by estimate)", found_there, todo))
    told = ", ".join(f"{what} {human(wanted[what])} of {human(disk.free)}" for what, disk in nodes[0].disks.items())
    return out or [good("disk", f"{told} free on {nodes[0].name}, by estimate")]


def compiler(nodes: Sequence[Node]) -> list[Finding]:
    """What was found of compilers. None is needed: rayner switches off what DeepSpeed would compile."""
    found = {node.name: ", ".join(f"{k} {v}" for k, v in node.tools.items()) for node in nodes}
    return [good("compiler", f"{spread(found)}; none is needed")]


def token(nodes: Sequence[Node]) -> list[Finding]:
    """Every node asks for a token, has one, and shows its file to nobody else."""
    off = {node.name: f"RAY_AUTH_MODE={node.token.auth or '(unset)'}" for node in nodes if node.token.auth != "token"}
    if off:
        todo = "export RAY_AUTH_MODE=token on every node before `ray start`, with the same ~/.ray/auth_token on each"
        return [bad("token", "RAY_AUTH_MODE=token on every node", spread(off), todo)]
    none = {node.name: f"none in {node.token.where}" for node in nodes if not node.token.found}
    if none:
        todo = "run `ray get-auth-token --generate` on the head and copy ~/.ray/auth_token to every node"
        return [bad("token", "the cluster's token on every node", spread(none), todo)]
    wide = {
        node.name: f"mode {node.token.mode:o} of {node.token.where}"
        for node in nodes
        if node.token.mode is not None and node.token.mode & 0o077
    }
    if wide:
        todo = "chmod 600 it: whoever reads the token commands the cluster"
        return [bad("token", "a file that its owner alone can read (mode 600)", spread(wide), todo)]
    return [good("token", f"asked for and there {on(nodes)}, readable by its owner alone")]


def dashboard(url: str, nodes: Sequence[Node]) -> list[Finding]:
    """It takes jobs, so it is not open to the world; to a private network only if it asks for the token."""
    if not url:
        return [good("dashboard", "none runs")]
    host = next((node for node in nodes if node.listens), None)
    listens = host.listens if host else [url.rpartition(":")[0]]
    exposed = [address for address in listens if not address.startswith("127.") and address != "::1"]
    asks = all(node.token.auth == "token" for node in nodes)
    if not exposed:
        return [good("dashboard", f"{url}, on the loopback alone")]
    if asks and not (host and host.public):
        return [good("dashboard", f"{url}, on {listed(exposed)}: a private network, and it asks for the token")]
    todo = "start the head with --dashboard-host=127.0.0.1 and reach it through `ssh -L 8265:127.0.0.1:8265 HEAD`"
    return [bad("dashboard", f"{url} on the loopback alone", f"it on {listed(exposed)}", todo)]


def ports(gcs: str, nodes: Sequence[Node], stuck: Mapping[str, str]) -> list[Finding]:
    """The head's port is open to every node, and objects travel. stuck: by node, why one did not arrive."""
    todo = "open the ports between all nodes (of the head, node and object managers, and workers)"
    closed = {node.name: node.head for node in nodes if node.head}
    if closed:
        return [bad("ports", f"the head's port {gcs} open to every node", spread(closed), todo)]
    if stuck:
        return [bad("ports", f"an object of the driver to reach {node}", why, todo) for node, why in stuck.items()]
    return [good("ports", f"{gcs} reached {on(nodes)}, and an object passed to each")]

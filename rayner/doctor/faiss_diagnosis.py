"""Check the packages that provide FAISS: one on each node, the same everywhere, for the CUDA of torch."""

from collections.abc import Sequence

from rayner.doctor.diagnosis import Finding, failed_finding, list_nodes_by_value, ok_finding, on_n_nodes
from rayner.doctor.node_facts import MISSING, NodeFacts


def check_faiss(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Check that each node has one package of FAISS, of one version, built for no other CUDA than torch."""
    packages = {
        node.name: ", ".join(f"{name} {version}" for name, version in node.faiss.items()) or MISSING for node in nodes
    }
    if any(len(node.faiss) != 1 for node in nodes):
        remedy = "uninstall all of them (pip uninstall faiss-cpu faiss-gpu), then install one: they share their files"
        return [failed_finding("faiss", "one package of FAISS on every node", list_nodes_by_value(packages), remedy)]
    if len({next(iter(node.faiss.values())) for node in nodes}) > 1:
        remedy = "install the same version on every node"
        return [failed_finding("faiss", "the same FAISS on every node", list_nodes_by_value(packages), remedy)]
    clashes = {
        node.name: ", ".join(f"{name} for CUDA {major}" for name, major in node.cuda_versions.items())
        for node in nodes
        if len(set(node.cuda_versions.values())) > 1
    }
    if clashes:
        remedy = "install the build of torch for that CUDA, or faiss-cpu: two versions of CUDA can end the process"
        return [failed_finding("faiss", "FAISS and torch for the same CUDA", list_nodes_by_value(clashes), remedy)]
    return [ok_finding("faiss", f"{list_nodes_by_value(packages)}; alike {on_n_nodes(nodes)}")]

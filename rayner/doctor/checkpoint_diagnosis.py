"""Turn what the nodes report of the checkpoints in the settings into findings."""

from collections.abc import Sequence

from rayner.doctor.diagnosis import Finding, failed_finding, list_nodes_by_value, ok_finding, on_n_nodes
from rayner.doctor.node_facts import NodeFacts


def check_checkpoints(nodes: Sequence[NodeFacts]) -> list[Finding]:
    """Check that every node finds each checkpoint that the settings name, complete, and the same one."""
    findings = []
    for key in nodes[0].model_states:
        states = {node.name: node.model_states[key] for node in nodes}
        errors = {name: state.error for name, state in states.items() if state.error}
        descriptions = {name: state.description for name, state in states.items()}
        subject = f"model {key}"
        if errors:
            expected, remedy = "a complete checkpoint on every node", "put it into a folder that all nodes share"
            findings.append(failed_finding(subject, expected, list_nodes_by_value(errors), remedy))
        elif len(set(descriptions.values())) > 1:
            expected, remedy = "the same checkpoint on every node", "put it into a folder that all nodes share"
            findings.append(failed_finding(subject, expected, list_nodes_by_value(descriptions), remedy))
        else:
            findings.append(ok_finding(subject, f"{states[nodes[0].name].description}; alike {on_n_nodes(nodes)}"))
    return findings or [ok_finding("models", "made from scratch, no checkpoint to load")]

"""Checks of a cluster before a long run (`rayner doctor`).

Start at `checks.check_cluster`. It runs `probes` on every node, and `diagnosis` turns the facts into findings: pure
functions without Ray. A new check needs a field in `node_facts.NodeFacts`, a probe, and a function in `diagnosis`.
Only `cli` imports this room.
"""

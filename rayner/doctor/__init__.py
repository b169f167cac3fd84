"""Check a cluster before a long run (`rayner doctor`).

Start at `checks.check_cluster`. It runs `probes` on every node and passes the collected facts to `diagnosis` and
`resource_diagnosis`, whose functions turn them into findings. These functions are pure and do not use Ray. To add a
check, add a field to `node_facts.NodeFacts`, a probe, and a function in `diagnosis`. Only `cli` imports this package.
"""

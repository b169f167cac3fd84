"""The doctor's judgement: facts in, one line each out."""

import dataclasses
import re

import pytest

from rayner.doctor import diagnosis, resource_diagnosis
from rayner.doctor.checkpoint_diagnosis import check_checkpoints
from rayner.doctor.node_facts import MISSING, CheckpointState, DiskSpace, NodeFacts, TokenStatus
from rayner.modeling.gpus import Gpu
from rayner.steps.requirements import DiskNeed, StageNeed

GIB = 1024**3
NODE = NodeFacts(
    "a",
    cpus=4.0,
    gpus=0.0,
    versions={"ray": "2.60.0", "torch": "2.13.0+cpu"},
    free_memory=16 * GIB,
    token=TokenStatus("token", "/u/.ray/auth_token", True, 0o600),
    file_states={"/t.txt": "sha256 1"},
    model_states={"llm.model": CheckpointState("/m: 5 parameters", "")},
    disks={"run": DiskSpace("/r", 10 * GIB, 1), "temporary": DiskSpace("/tmp", 5 * GIB, 2)},
    write_error="",
)
TRAINED = StageNeed("llm.workers", 2, 1.0, 0.0, 4 * GIB, 0)


def two(**changes):
    """A node as it should be, and one with changes."""
    return [NODE, dataclasses.replace(NODE, name="b", **changes)]


def only(findings):
    """The one finding, whose line must be well formed."""
    (finding,) = findings
    line = str(finding)
    assert "\n" not in line
    wanted = r"ok   \S.*: \S.*" if finding.ok else r"FAIL \S.*: expected \S.*, found \S.*; \S.*"
    assert re.fullmatch(wanted, line), line
    return finding


def fails(findings, *parts):
    finding = only(findings)
    assert not finding.ok
    for part in parts:
        assert part in finding.message
    return finding


def test_a_node_that_does_not_answer_is_named_with_the_reason():
    assert only(diagnosis.check_answers(["a", "b"], {})).ok
    fails(diagnosis.check_answers(["a", "b"], {"b": "No module named 'rayner'"}), "from b", "No module named 'rayner'")


@pytest.mark.parametrize("torch_version", ["2.13.0+cpu", "2.13.0", "2.13.0+cu130"])
def test_builds_of_one_version_of_torch_are_alike(torch_version):
    assert only(diagnosis.check_versions(two(versions={"ray": "2.60.0", "torch": torch_version}))).ok


@pytest.mark.parametrize("other", ["2.12.1", MISSING])
def test_another_version_or_none_is_told_with_its_node(other):
    fails(diagnosis.check_versions(two(versions={"ray": "2.60.0", "torch": other})), "same torch", f"{other} on b")


def test_a_package_that_no_node_has_is_missing_all_the_same():
    nodes = [dataclasses.replace(node, versions={"ray": MISSING}) for node in two()]
    fails(diagnosis.check_versions(nodes), "nothing on a, b")


def test_each_process_must_find_its_cpus_and_gpus_on_one_node():
    nodes = two(cpus=2.0)
    assert only(resource_diagnosis.check_placement([StageNeed("llm.workers", 3, 2.0, 0.0, 0, 0)], nodes)).ok
    fails(resource_diagnosis.check_placement([StageNeed("llm.workers", 4, 2.0, 0.0, 0, 0)], nodes), "room for 3")
    fails(
        resource_diagnosis.check_placement([StageNeed("llm.workers", 2, 3.0, 0.0, 0, 0)], nodes), "room for 1"
    )  # six CPUs, but not together
    fails(resource_diagnosis.check_placement([StageNeed("llm.workers", 1, 1.0, 1.0, 0, 0)], nodes), "room for 0")


def test_memory_counts_the_processes_that_can_meet_on_a_node():
    assert only(resource_diagnosis.check_memory([TRAINED], two())).ok
    short = two(free_memory=7 * GIB)
    fails(resource_diagnosis.check_memory([TRAINED], short), "8.0 GiB", "llm.workers", "7.0 GiB free on b")
    assert only(resource_diagnosis.check_memory([dataclasses.replace(TRAINED, processes=1)], short)).ok
    assert only(
        resource_diagnosis.check_memory([TRAINED], two(free_memory=7 * GIB, cpus=1.0))
    ).ok  # the second has no room there


def test_memory_that_processes_of_a_node_share_counts_once():
    need = StageNeed("llm.workers", 4, 1.0, 0.0, 2 * GIB, 0, shared_bytes=7 * GIB)
    nodes = [dataclasses.replace(NODE, free_memory=15 * GIB)]
    assert "2.0 GiB each and 7.0 GiB together" in only(resource_diagnosis.check_memory([need], nodes)).message
    short = [dataclasses.replace(NODE, free_memory=14 * GIB)]
    fails(
        resource_diagnosis.check_memory([need], short),
        "15.0 GiB for the processes of llm.workers",
        "14.0 GiB free on a",
    )


def test_both_stages_of_scoring_share_the_memory():
    pools = [StageNeed("score", 2, 1.0, 0.0, 4 * GIB, 0)]
    assert only(resource_diagnosis.check_memory(pools, two(free_memory=8 * GIB))).ok
    fails(resource_diagnosis.check_memory(pools, two(free_memory=7 * GIB)), "8.0 GiB for the processes of score")


def test_gpus_that_torch_does_not_see_are_told_with_the_reason():
    blind = two(gpus=2.0, torch_gpus=[Gpu("A6000", 48 * GIB)], torch_gpus_error="driver too old")
    fails(resource_diagnosis.check_gpus([], blind), "torch on b to see 2 GPUs", "1 (driver too old)")
    assert only(resource_diagnosis.check_gpus([], two(gpus=1.0, torch_gpus=[Gpu("A6000", 48 * GIB)]))).ok


def test_a_model_must_fit_the_smallest_gpu_or_its_share_of_it():
    nodes = two(gpus=2.0, torch_gpus=[Gpu("A6000", 48 * GIB), Gpu("A10", 24 * GIB)])
    assert only(resource_diagnosis.check_gpus([StageNeed("llm.workers", 1, 1.0, 1.0, 0, 24 * GIB)], nodes)).ok
    fails(
        resource_diagnosis.check_gpus([StageNeed("llm.workers", 1, 1.0, 1.0, 0, 25 * GIB)], nodes),
        "25.0 GiB",
        "24.0 GiB (A10) on b",
    )
    fails(resource_diagnosis.check_gpus([StageNeed("score", 1, 1.0, 0.2, 0, 6 * GIB)], nodes), "4.8 GiB")


@pytest.mark.parametrize("there", [MISSING, "sha256 2", "Permission denied"])
def test_an_input_that_one_node_lacks_or_has_otherwise_is_told(there):
    assert only(diagnosis.check_input_files_are_alike(two())).ok
    fails(diagnosis.check_input_files_are_alike(two(file_states={"/t.txt": there})), f"{there} on b")


@pytest.mark.parametrize("there", [MISSING, "Permission denied"])
def test_an_input_that_no_node_can_read_is_told(there):
    nodes = [dataclasses.replace(node, file_states={"/t.txt": there}) for node in two()]
    fails(diagnosis.check_input_files_are_alike(nodes), f"{there} on a, b")


def test_a_model_that_one_node_cannot_read_is_told():
    fine = only(check_checkpoints(two()))
    assert fine.ok
    assert str(fine) == "ok   model llm.model: /m: 5 parameters; alike on 2 nodes"
    lost = {"llm.model": CheckpointState("", "/m: expected weights, found none")}
    fails(check_checkpoints(two(model_states=lost)), "/m: expected weights, found none on b")
    assert only(check_checkpoints([dataclasses.replace(NODE, model_states={})])).ok


def test_another_checkpoint_on_one_node_is_told():
    other = {"llm.model": CheckpointState("/m: 6 parameters", "")}
    fails(check_checkpoints(two(model_states=other)), "/m: 5 parameters on a; /m: 6 parameters on b")


def test_a_run_folder_that_is_not_shared_or_not_writable_is_told():
    assert only(diagnosis.check_run_folder("/r", two(), {})).ok
    fails(diagnosis.check_run_folder("/r", two(write_error="Permission denied"), {}), "Permission denied on b")
    fails(diagnosis.check_run_folder("/r", two(), {"b from a": "No such file"}), "No such file on b from a")


def test_disk_adds_up_what_shares_a_file_system():
    need = DiskNeed(run_bytes=8 * GIB, out_bytes=3 * GIB, temporary_bytes=GIB)
    apart = {
        "run": DiskSpace("/r", 10 * GIB, 1),
        "out": DiskSpace("/o", 10 * GIB, 2),
        "temporary": DiskSpace("/tmp", 2 * GIB, 3),
    }
    together = {**apart, "out": DiskSpace("/o", 10 * GIB, 1)}
    assert only(diagnosis.check_disk(need, [dataclasses.replace(NODE, disks=apart)])).ok
    fails(
        diagnosis.check_disk(need, [dataclasses.replace(NODE, disks=together)]), "11.0 GiB (run 8.0 GiB + out 3.0 GiB"
    )
    assert only(diagnosis.check_disk(need, [dataclasses.replace(NODE, disks=together)], present_bytes=2 * GIB)).ok
    full = {"temporary": DiskSpace("/tmp", GIB // 2, 3)}
    fails(diagnosis.check_disk(need, two(disks=full)), "1.0 GiB (temporary", "512.0 MiB free in /tmp on b")


def test_compilers_are_told_and_none_is_needed():
    assert (
        "g++ none on a, b"
        in only(diagnosis.list_compilers([dataclasses.replace(n, tools={"g++": "none"}) for n in two()])).message
    )


@pytest.mark.parametrize(
    ("token", "told"),
    [
        (TokenStatus("", "/k", True, 0o600), "RAY_AUTH_MODE=(unset) on b"),
        (TokenStatus("disabled", "/k", True, 0o600), "RAY_AUTH_MODE=disabled on b"),
        (TokenStatus("token", "/k", False), "none in /k on b"),
        (TokenStatus("token", "/k", True, 0o644), "mode 644 of /k on b"),
        (TokenStatus("token", "/k", True, 0o640), "mode 640 of /k on b"),
    ],
)
def test_a_token_that_is_off_missing_or_open_is_told(token, told):
    fails(diagnosis.check_token(two(token=token)), told)


def test_on_one_machine_of_ones_own_an_open_token_is_a_hint():
    open_token = [dataclasses.replace(NODE, token=TokenStatus("token", "/k", True, 0o644))]
    found = only(diagnosis.check_token(open_token, is_local=True))
    assert found.ok
    assert "run chmod 600" in found.message
    fails(diagnosis.check_token(open_token), "mode 644 of /k")


@pytest.mark.parametrize(
    "token", [TokenStatus("token", "/k", True, 0o400), TokenStatus("token", "RAY_AUTH_TOKEN", True)]
)
def test_a_token_of_ones_own_is_well(token):
    assert only(diagnosis.check_token(two(token=token))).ok


def test_the_dashboard_may_be_open_to_a_private_network_with_a_token_and_never_to_the_internet():
    url = "10.0.0.1:8265"
    off = TokenStatus("disabled", "/k", True, 0o600)
    assert only(diagnosis.check_dashboard_exposure("", two())).ok
    assert only(
        diagnosis.check_dashboard_exposure(
            "127.0.0.1:8265", two(dashboard_addresses=["127.0.0.1", "::1"], has_public_address=True)
        )
    ).ok
    assert only(diagnosis.check_dashboard_exposure(url, two(dashboard_addresses=["0.0.0.0"]))).ok
    fails(diagnosis.check_dashboard_exposure(url, two(dashboard_addresses=["0.0.0.0"], token=off)), "0.0.0.0")
    fails(
        diagnosis.check_dashboard_exposure(url, two(dashboard_addresses=["0.0.0.0"], has_public_address=True)),
        "0.0.0.0",
    )
    fails(diagnosis.check_dashboard_exposure(url, two(token=off)), "10.0.0.1")  # what listens there could not be seen


def test_closed_ports_are_told():
    assert only(diagnosis.check_ports("10.0.0.1:6379", two(), {})).ok
    fails(diagnosis.check_ports("10.0.0.1:6379", two(head_error="timed out"), {}), "10.0.0.1:6379", "timed out on b")
    fails(
        diagnosis.check_ports("10.0.0.1:6379", two(), {"b": "none within 180 seconds"}),
        "reach b",
        "none within 180 seconds",
    )


def test_many_nodes_are_told_in_a_few_words():
    assert diagnosis.join_names("abcdefg") == "a, b, c, d, e and 2 more"

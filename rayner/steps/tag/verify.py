"""Verify a tagged corpus with its control files: the plan, the records of its units, and `run.json`."""

from rayner.corpus.run_record import RUN_RECORD_FILE, CorpusCounts, read_run_record
from rayner.corpus.unit_records import digest_unit_records, list_recorded_units
from rayner.errors import DataError
from rayner.runs.run_folder import Run, file_sha256
from rayner.runs.storage import StoragePath
from rayner.steps.tag.audit import CorpusVerifier
from rayner.steps.tag.plan import PlanSummary


def find_problems_and_counts(tagged: StoragePath, run: Run | None = None) -> tuple[list[str], CorpusCounts]:
    """Return what is wrong with a tagged corpus, a line for each problem, and its counts.

    run: the run that should have made the tags; None to leave this out.
    Raises DataError if a control file is missing or damaged, and ConfigError if the corpus was not finished.
    """
    manifests = Run(tagged)
    plan = PlanSummary.from_json(manifests.step_result("plan"), str(tagged))
    manifest = manifests.step_result("tag_corpus")
    try:
        record = read_run_record(tagged)
    except FileNotFoundError:
        raise DataError(f"{tagged / RUN_RECORD_FILE}: expected the record of the job, found none") from None
    verifier = CorpusVerifier(tagged, plan)
    problems = list(verifier.find_problems())
    counts = verifier.corpus_counts()
    if counts != record.counts and not problems:
        problems.append(f"{tagged / RUN_RECORD_FILE}: expected the counts {counts}, found {record.counts}")
    digest = digest_unit_records(tagged, list_recorded_units(tagged))
    for name, recorded in (
        (RUN_RECORD_FILE, record.records_sha256),
        ("steps/tag_corpus.json", manifest["records_sha256"]),
    ):
        if digest != recorded:
            problems.append(f"{tagged / name}: expected the digest of the units' records, {digest}, found {recorded}")
    if run is not None:
        for key, found in (
            ("score", run.digest_step_manifest("score")),
            ("fusion", file_sha256(run.path("fusion.json"))),
        ):
            if record.inputs.get(key) != found:
                problems.append(
                    f"{run.root}: expected the run whose {key} has the digest {record.inputs.get(key)}, found {found}"
                )
    return problems, counts

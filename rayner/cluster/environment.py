"""Environment variables that Ray and transformers read when they are imported. This module imports neither library."""

import os

SUBMITTED_JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it in the driver of a submitted job

# These keep control characters and other libraries' messages out of a job's log.
QUIET_ENVIRONMENT = {
    "RAY_COLOR_PREFIX": "0",
    "RAY_DEDUP_LOGS": "0",  # with deduplication, Ray reports in colour how many lines it left out
    "RAY_AIR_NEW_OUTPUT": "0",  # Ray Tune's boxes and tables
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",  # would repeat the messages of other libraries as JSON
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONWARNINGS": "ignore",
}
# Ray Train's polling interval in seconds. Each epoch's report waits for the next poll; Ray's default is 2 seconds.
_POLL_VARIABLE, _POLL_SECONDS = "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5"


def set_quiet_environment() -> None:
    """Set the variables of `worker_environment` in this process, for itself and its children.

    Call this before Ray and transformers are imported.
    """
    os.environ.update(worker_environment())


def worker_environment() -> dict[str, str]:
    """Return the environment variables for workers, which may run on other machines.

    If the environment already sets the polling interval, that value is kept.
    """
    return {**QUIET_ENVIRONMENT, _POLL_VARIABLE: os.environ.get(_POLL_VARIABLE, _POLL_SECONDS)}

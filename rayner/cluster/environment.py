"""What keeps other libraries' messages out of a job's log: environment variables and levels of loggers.

Ray and transformers read the variables when they are imported. This module imports neither library.
"""

import logging
import os

SUBMITTED_JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it in the driver of a submitted job

# These keep control characters and other libraries' messages out of a job's log.
QUIET_ENVIRONMENT = {
    "RAY_COLOR_PREFIX": "0",
    "RAY_DEDUP_LOGS": "0",  # with deduplication, Ray reports in colour how many lines it left out
    "RAY_AIR_NEW_OUTPUT": "0",  # Ray Tune's boxes and tables
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's handler lets the job go on after Ctrl-C
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

# Loggers whose lines users can do nothing about, and the lowest level that is still printed.
LOGGER_LEVELS = {
    "ray._private.authentication.authentication_token_setup": logging.ERROR,  # a local Ray requires its token
    "ray._private.services": logging.ERROR,  # other Rays run on this machine; a job never looks for one
    "ray.data._internal.progress": logging.ERROR,  # Ray Data's progress bars are off
    "ray.train.torch.config": logging.WARNING,  # how the process group is set up
    # A busy machine answers late. Ray asks again, and training fails for other reasons if it cannot start.
    "ray.train.v2._internal.execution.scaling_policy.autoscaling_coordinator_client": logging.CRITICAL,
}
QUIET_FUNCTION = f"{__name__}.quiet_loggers"  # for Ray, which calls it when a worker starts
_ACCELERATOR_MESSAGE = "Setting accelerator to CPU"  # DeepSpeed's, although nobody asked for another


def set_quiet_environment() -> None:
    """Set the variables of `worker_environment` and the levels of loggers in this process.

    Its children inherit the variables. Call this before Ray and transformers are imported.
    """
    os.environ.update(worker_environment())
    quiet_loggers()


def quiet_loggers() -> None:
    """Silence the lines of Ray and DeepSpeed about which users can do nothing, in this process."""
    for name, level in LOGGER_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger("DeepSpeed").addFilter(_is_worth_printing)  # a filter, because DeepSpeed sets the level later


def _is_worth_printing(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_ACCELERATOR_MESSAGE)


def worker_environment() -> dict[str, str]:
    """Return the environment variables for workers, which may run on other machines.

    If the environment already sets the polling interval, that value is kept.
    """
    return {**QUIET_ENVIRONMENT, _POLL_VARIABLE: os.environ.get(_POLL_VARIABLE, _POLL_SECONDS)}

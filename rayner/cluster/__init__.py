"""Ray itself: the session, training workers, the network, memory and failures."""

import os

SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for jobs that were submitted

# Control characters and other libraries' remarks have no place in a job's log.
QUIET = {
    "RAY_COLOR_PREFIX": "0",
    "RAY_DEDUP_LOGS": "0",  # it says what it left out in colour
    "RAY_AIR_NEW_OUTPUT": "0",  # Ray Tune's boxes and tables
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",  # other libraries' remarks from INFO on, once more as JSON
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONWARNINGS": "ignore",
}
os.environ.update(QUIET)  # here, for Ray and transformers look when they are imported
# So often Ray Train looks after its workers, and each report of theirs, so each epoch, waits for that: by default 2 s.
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")

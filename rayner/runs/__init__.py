"""The run folder: completed steps and their digests, the lock, progress and status, storage (folders and URLs)."""

"""The run folder of a job: finished steps, digests, lock, progress, status, and file storage.

Start with `run_folder.Run.run_step`, which runs a step once. `storage` reads and writes local folders and URLs. It
writes every file completely or not at all. This package imports only `errors`, `text`, `config`, `fusion` and
`evaluation`, and no heavy library, because `rayner status` must answer at once.
"""

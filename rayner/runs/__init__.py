"""The run folder of a job: done steps and digests, the lock, progress and status, storage (folders and URLs).

Start with `run_folder.Run.run_step`, which runs a step once. `storage` reads and writes local folders and URLs alike,
every file whole or not at all. This room imports only `errors`, `text`, `config`, `fusion` and `evaluation`, and no
heavy library: `rayner status` must answer at once.
"""

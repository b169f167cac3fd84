"""Jobs: the commands that run on Ray, and the scripts of `jobs/`, which call the same functions.

- `definitions` lists the jobs.
- `arguments` declares and reads their command lines; `help` prints the settings.
- `running` checks a job and runs it.
"""

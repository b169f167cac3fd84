"""The size of a job: how much text its steps work on, and so how long they will take."""

from dataclasses import dataclass, field

from rayner.config.settings import Config
from rayner.corpus.scripts.recognition import ScriptCounts
from rayner.steps.forecast.pace import count_chars_by_step, find_pace

READY = "ready"


@dataclass
class Workload:
    """What the checks learn about the size of a job.

    part_chars: the characters of the labelled parts.
    labelled_scripts: the scripts of the labelled text.
    corpus_chars, corpus_digest: of the corpus.
    steps: the steps that are to be done.
    """

    part_chars: dict[str, int] = field(default_factory=dict)
    labelled_scripts: ScriptCounts = field(default_factory=ScriptCounts)
    corpus_chars: int = 0
    corpus_digest: str = ""
    steps: list[str] = field(default_factory=list)

    def describe_readiness(self, config: Config) -> str:
        """Return the last line of the checks: that the job is ready, and how long it will take if that is known."""
        if not self.steps:
            return f"{READY}: nothing is left to do"
        pace = find_pace(config)
        n_chars = count_chars_by_step(self.part_chars, self.corpus_chars, self.steps)
        seconds = pace.estimate_seconds(n_chars) if pace else None
        if seconds is None:
            return f"{READY}: time unknown, no earlier run on this machine with these settings"
        minutes = max(1, round(seconds / 60))
        return f"{READY}: about {minutes:,} minute{'' if minutes == 1 else 's'}"

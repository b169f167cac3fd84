"""Warnings about a model, or a whole run, that finds no entity at all in a text where it should find some."""

from dataclasses import dataclass
from typing import Literal

MIN_CHARACTERS = 1_000  # a shorter text may hold no entity
Finder = Literal["slm", "llm", "fused"]
_NAMES: dict[Finder, str] = {"slm": "the small model", "llm": "the LLM", "fused": "the fusion of both models"}


@dataclass(frozen=True)
class SilentModel:
    """A model that found no entity.

    finder: The model; `fused` for the output of the fusion.
    n_characters: The characters in which it looked for entities.
    """

    finder: Finder
    n_characters: int

    def describe(self, where: str) -> str:
        """Return a warning in one line. where: the text, such as `the corpus`."""
        return (
            f"{_NAMES[self.finder]} found no entity in {self.n_characters:,} characters of {where}: the tags are "
            "probably wrong. Check that the text is in the language and script of the training text, and the scores on "
            "held-out sentences (rayner eval RUN); train the model again if they are low"
        )


@dataclass(frozen=True)
class EntityCounts:
    """The entities that each model found in a text.

    characters: Characters of the text.
    slm_entities: Entities that the small model found; None if unknown.
    llm_characters: Characters of the segments that the LLM answered.
    llm_entities: Entities that the LLM found in them.
    entities: Entities after the fusion; None before it.
    """

    characters: int
    slm_entities: int | None
    llm_characters: int
    llm_entities: int
    entities: int | None = None

    def find_silent_models(self) -> list[SilentModel]:
        """Return the models that found no entity in a text of `MIN_CHARACTERS` characters or more."""
        searched: list[tuple[Finder, int, int | None]] = [
            ("slm", self.characters, self.slm_entities),
            ("llm", self.llm_characters, self.llm_entities),
            ("fused", self.characters, self.entities),
        ]
        return [
            SilentModel(finder, n_characters)
            for finder, n_characters, n_entities in searched
            if n_entities == 0 and n_characters >= MIN_CHARACTERS
        ]

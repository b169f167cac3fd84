"""Convert texts to the script of the labelled text, one character for one. Offsets stay what they are.

A simplified character may stand for several traditional ones. Of these, and the character itself, the one is taken that
occurs most often in the labelled text. A character that, by OpenCC's tables, mostly stays itself is not replaced. So
what a converter does depends on the labelled text alone, and on nothing around a character but the script of its text.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rayner.corpus.scripts.recognition import Script, ScriptCounts, count_scripts
from rayner.corpus.scripts.tables import Variants, load_script_tables


@dataclass(frozen=True)
class ScriptConverter:
    """Converts texts to one script.

    target: The script of the labelled text.
    replacements: The character for the code point of each character that is replaced.
    """

    target: Script
    replacements: Mapping[int, str]

    def convert(self, text: str) -> str:
        """Return a text of the same length in the target script. A text that is in the target script is unchanged.

        A text counts as written in the script of which it holds more characters; without any, it is unchanged.
        """
        return self.convert_part(text) if self.needs_conversion(text) else text

    def needs_conversion(self, text: str) -> bool:
        """Return whether a text holds more characters of the other script than of the target script."""
        return _holds_more_of_other_script(text, self.target)

    def convert_part(self, part: str) -> str:
        """Return a part of a text that needs conversion, in the target script."""
        return part.translate(self.replacements)

    def convert_counts(self, char_counts: Mapping[str, int]) -> Counter[str]:
        """Return how often each character occurs in the copy of a corpus, if all of its texts are in one script.

        char_counts: How often each character occurs in the corpus.
        """
        if not _are_more_of_other_script(count_scripts(char_counts), self.target):
            return Counter(char_counts)
        converted = Counter[str]()
        for char, n in char_counts.items():
            converted[self.replacements.get(ord(char), char)] += n
        return converted


@lru_cache(maxsize=2)  # consecutive units may hold slices of the same long text
def _holds_more_of_other_script(text: str, target: Script) -> bool:
    return _are_more_of_other_script(count_scripts(Counter(text)), target)


def _are_more_of_other_script(counts: ScriptCounts, target: Script) -> bool:
    n_other = counts.simplified if target == "traditional" else counts.traditional
    return 2 * n_other > counts.simplified + counts.traditional


def convert_texts(texts: Iterable[str], converter: ScriptConverter | None) -> Iterator[str]:
    """Convert each text; without a converter, yield the texts as they are."""
    return (converter.convert(text) if converter else text for text in texts)


def build_script_converter(labelled_texts: Iterable[str]) -> ScriptConverter | None:
    """Return the converter to the script of labelled texts; None if they are in both scripts or too short to tell."""
    char_counts = Counter[str]()
    for text in labelled_texts:
        char_counts.update(text)
    target, tables = count_scripts(char_counts).script, load_script_tables()
    if target is None or target == "mixed":
        return None
    forms = tables.traditional if target == "traditional" else tables.simplified
    replacements = {ord(char): form for char, form in _iter_replacements(forms, char_counts)}
    return ScriptConverter(target, replacements)


def _iter_replacements(forms: Variants, char_counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for char, own_forms in forms.items():
        if own_forms[0] == char:
            continue
        # The character itself comes last, so that it stays only if the labelled text prefers it to every form.
        best = max((*own_forms, char), key=lambda form: char_counts.get(form, 0))
        if best != char:
            yield char, best

"""Words in both languages of the pages, English and Chinese, and what the known types are called."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

LANGUAGES = ("en", "zh")
GLOSSES = {
    "NR": ("person", "人名"),
    "NS": ("place", "地名"),
    "NB": ("book", "书名"),
    "NO": ("office", "官职"),
    "NG": ("country", "国名"),
    "T": ("time", "时间"),
    "ZD": ("disease", "疾病"),
    "ZZ": ("syndrome", "证候"),
    "ZF": ("formula", "方剂"),
    "ZP": ("decoction piece", "饮片"),
    "ZS": ("symptom", "症状"),
    "ZA": ("acupoint", "穴位"),
}


@dataclass(frozen=True, slots=True)
class BilingualText:
    """The same in both languages. A template prints it in English, with the Chinese for the page's script beside it."""

    en: str
    zh: str

    def __html__(self) -> str:
        if self.en == self.zh:
            return Markup("{}").format(self.en)
        return Markup('<span data-zh="{}">{}</span>').format(self.zh, self.en)

    def __str__(self) -> str:
        return self.en

    @property
    def capitalized(self) -> "BilingualText":
        """As the beginning of a sentence."""
        return BilingualText(self.en[:1].upper() + self.en[1:], self.zh)


def same_in_both(value: object) -> BilingualText:
    """What is the same in both languages, such as a name or a number; words in both are themselves."""
    return value if isinstance(value, BilingualText) else BilingualText(str(value), str(value))


def fill_text(template: tuple[str, str], *values: object) -> BilingualText:
    """A message with words, names or numbers in the places of {0}, {1} ..."""
    found = [same_in_both(item) for item in values]
    en, zh = template
    return BilingualText(en.format(*(item.en for item in found)), zh.format(*(item.zh for item in found)))


def join_texts(parts: Iterable[BilingualText], separator_en: str, separator_zh: str) -> BilingualText:
    """Words one after the other, with `en` or `zh` between them."""
    listed = list(parts)
    return BilingualText(separator_en.join(part.en for part in listed), separator_zh.join(part.zh for part in listed))


def bilingual_attribute(name: str, text: BilingualText) -> Markup:
    """An attribute that people read, such as `title`, in English, with the Chinese for the page's script beside it."""
    return Markup('{0}="{1}" data-zh-{0}="{2}"').format(name, text.en, text.zh)

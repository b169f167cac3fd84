"""Hold a text in English and Chinese, and print both into HTML.

A page shows the English text. The Chinese text stands beside it in `data-zh` attributes, and `language.js` swaps them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class BilingualText:
    """The same text in English and in Chinese. A template prints both, escaped."""

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
        """The text as the beginning of a sentence."""
        return BilingualText(self.en[:1].upper() + self.en[1:], self.zh)


def same_in_both(value: object) -> BilingualText:
    """Return a name or a number as a text that is equal in both languages. A BilingualText is returned unchanged."""
    return value if isinstance(value, BilingualText) else BilingualText(str(value), str(value))


def fill_text(template: tuple[str, str], *values: object) -> BilingualText:
    """Put the values (texts, names or numbers) in the places of {0}, {1} ... of an English and a Chinese template."""
    texts = [same_in_both(value) for value in values]
    en, zh = template
    return BilingualText(en.format(*(text.en for text in texts)), zh.format(*(text.zh for text in texts)))


def join_texts(parts: Iterable[BilingualText], separator: BilingualText) -> BilingualText:
    """Concatenate the parts with the separator between them."""
    texts = list(parts)
    return BilingualText(separator.en.join(text.en for text in texts), separator.zh.join(text.zh for text in texts))


def bilingual_attribute(name: str, text: BilingualText) -> Markup:
    """Return an HTML attribute that people read, such as `title`: English, with the Chinese in `data-zh-NAME`."""
    return Markup('{0}="{1}" data-zh-{0}="{2}"').format(name, text.en, text.zh)

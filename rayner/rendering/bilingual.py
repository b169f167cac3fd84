"""Store a text in English and Chinese, and write both languages into HTML.

A page shows the English text. A `data-zh` attribute contains the Chinese text, and `language.js` swaps the two texts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class BilingualText:
    """The same text in English and in Chinese. A template escapes both texts and writes both into the page."""

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
        """The text with a capital letter at the beginning of the English."""
        return BilingualText(self.en[:1].upper() + self.en[1:], self.zh)


def same_in_both(value: object) -> BilingualText:
    """Return a name or a number as a text that is the same in both languages. A BilingualText is returned unchanged."""
    return value if isinstance(value, BilingualText) else BilingualText(str(value), str(value))


def fill_text(template: tuple[str, str], *values: object) -> BilingualText:
    """Replace {0}, {1} ... in an English and a Chinese template with the values (texts, names or numbers)."""
    texts = [same_in_both(value) for value in values]
    en, zh = template
    return BilingualText(en.format(*(text.en for text in texts)), zh.format(*(text.zh for text in texts)))


def join_texts(parts: Iterable[BilingualText], separator: BilingualText) -> BilingualText:
    """Concatenate the parts with the separator between them."""
    texts = list(parts)
    return BilingualText(separator.en.join(text.en for text in texts), separator.zh.join(text.zh for text in texts))


def bilingual_attribute(name: str, text: BilingualText) -> Markup:
    """Return an HTML attribute such as `title` with the English text, and `data-zh-NAME` with the Chinese text."""
    return Markup('{0}="{1}" data-zh-{0}="{2}"').format(name, text.en, text.zh)

"""Notice markup (HTML, XML) in files that should be plain text. Its tags would be tagged like text."""

import re
from dataclasses import dataclass, replace

from rayner.text.messages import shorten_repr

# A closing tag, a tag with an attribute, a declaration or an HTML tag without content. Not `<甲>`, as editions write.
_TAG = re.compile(
    r"</[a-z][\w:.-]{0,40}\s?>|<[a-z][\w:.-]{0,40}\s[^<>]{0,200}=[^<>]{0,200}>"
    r"|<!DOCTYPE\b[^<>]{0,80}>|<\?xml\b[^<>]{0,80}>|<(?:br|hr|p|pb|lb)\s?/?>",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MarkupFiles:
    """Files that hold markup: their number, and the first tag of the first file."""

    files: int = 0
    first_path: str = ""
    example: str = ""

    def add_text(self, path: str, text: str) -> "MarkupFiles":
        """Count a file if its text holds a tag."""
        tag = find_tag(text)
        if tag is None:
            return self
        return replace(self, files=self.files + 1) if self.files else MarkupFiles(1, path, tag)

    def format_warning(self) -> str:
        """Return a warning in one line; "" if there is no markup."""
        if not self.files:
            return ""
        return (
            f"{self.files:,} texts hold markup such as {shorten_repr(self.example)} ({self.first_path}): it is tagged "
            "like text. Take plain text instead"
        )


def find_tag(text: str) -> str | None:
    """Return the first tag of HTML or XML in a text; None if there is none."""
    found = _TAG.search(text) if "<" in text else None
    return found.group() if found else None

"""Write the files of the site, load its templates, and build the parts that all pages share."""

import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from rayner import __version__
from rayner.rendering.templates import load_templates
from rayner.rendering.translation import find_type_gloss
from rayner.site.html_text import encode_json_for_script, text_to_html

_TEMPLATE_FOLDER = Path(__file__).parent


class SiteFolder:
    """The folder in which the site is built. It counts the pages, the files and the bytes of all files.

    digests: The SHA-256 of each file, by its path in the folder.
    asks_llm: Whether the LLM was asked about the corpus. If not, no page speaks of it.
    """

    def __init__(self, root: Path, *, asks_llm: bool = True) -> None:
        self.root = root
        self.digests: dict[str, str] = {}
        self.pages = self.files = self.bytes = self.largest_bytes = 0
        self.largest_name = ""
        self.asks_llm = asks_llm
        self._templates = _load_site_templates()
        self._templates.globals["asks_llm"] = asks_llm

    def write_page(self, path: str, template: str, /, **values: Any) -> None:  # noqa: ANN401 - what the template takes
        """Render a template and write the page at a relative path."""
        up = "../" * path.count("/")
        self.write_text(path, self._templates.get_template(template).render(up=up, version=__version__, **values))
        self.pages += 1

    def write_script(self, path: str, function: str, *values: Any) -> None:  # noqa: ANN401 - any JSON
        """Write a script that calls a function with the values."""
        self.write_text(path, f"{function}({','.join(map(encode_json_for_script, values))})\n")

    def write_text(self, path: str, content: str) -> None:
        """Write a file (UTF-8) at a relative path."""
        encoded = content.encode()
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encoded)
        self.digests[path] = hashlib.sha256(encoded).hexdigest()
        self.files += 1
        self.bytes += len(encoded)
        if len(encoded) > self.largest_bytes:
            self.largest_bytes, self.largest_name = len(encoded), path


def _load_site_templates() -> Environment:
    environment = load_templates(_TEMPLATE_FOLDER)
    environment.globals |= {"type_label": format_type_label}
    environment.filters |= {"rare": lambda text: Markup(text_to_html(text)), "data": encode_json_for_html}
    return environment


def encode_json_for_html(value: Any) -> Markup:  # noqa: ANN401 - any JSON
    """Return JSON as the content of a `<script type="application/json">`."""
    return Markup(encode_json_for_script(value))


def format_type_label(type_name: str) -> Markup:
    """Return the code of a type as HTML, with the gloss (its meaning) if the type has one."""
    code, gloss = Markup("<span class=code>{}</span>").format(type_name), find_type_gloss(type_name)
    return code + Markup(" {}").format(gloss) if gloss else code


def page_path(stem: str, page: int) -> str:
    """Return `stem.html` for the first page (0) of a list, `stem-2.html` for the second, and so on."""
    return f"{stem}.html" if not page else f"{stem}-{page + 1}.html"


def list_linked_pages_with_gaps(page: int, n_pages: int) -> list[int | None]:
    """Return the numbers of the pages to show in the pager of a page: the first, the last and the nearest pages.

    Pages are numbered from 0. None marks a gap.
    """
    numbers = sorted({0, n_pages - 1, *range(max(0, page - 2), min(n_pages, page + 3))})
    with_gaps: list[int | None] = []
    for number in numbers:
        if with_gaps and number - (with_gaps[-1] or 0) > 1:
            with_gaps.append(None)
        with_gaps.append(number)
    return with_gaps


def build_pager_values(stem: str, page: int, n_pages: int) -> dict[str, Any]:
    """Return the values for the pager in the template: the page (from 0), the pages to link to, and their paths."""
    linked = list_linked_pages_with_gaps(page, n_pages)
    numbers = {number for number in (*linked, page - 1, page + 1) if number is not None and 0 <= number < n_pages}
    return {"page": page, "pages": linked, "n_pages": n_pages, "links": {i: page_path(stem, i) for i in numbers}}

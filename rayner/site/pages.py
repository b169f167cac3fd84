"""Write the files of the site: the folder that collects them, the templates, and the parts that pages share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from rayner import __version__
from rayner.rendering.templates import load_templates
from rayner.rendering.translation import TYPE_GLOSSES, translate
from rayner.site.html_text import json_for_script, text_to_html

_TEMPLATE_FOLDER = Path(__file__).parent


class SiteFolder:
    """The folder of the site while it is filled; counts the pages, the files and their bytes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pages = self.files = self.bytes = self.largest = 0
        self.largest_name = ""
        self._templates = _load_site_templates()

    def write_page(self, name: str, template: str, /, **values: Any) -> None:  # noqa: ANN401 - what the template takes
        """Write a page at the relative path `name`."""
        up = "../" * name.count("/")
        self.write_text(name, self._templates.get_template(template).render(up=up, version=__version__, **values))
        self.pages += 1

    def write_script(self, name: str, call: str, *values: Any) -> None:  # noqa: ANN401 - any JSON
        """Write a script that calls `call` with the values."""
        self.write_text(name, f"{call}({','.join(map(json_for_script, values))})\n")

    def write_text(self, name: str, content: str) -> None:
        """Write a text at the relative path `name`."""
        data = content.encode()
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.files += 1
        self.bytes += len(data)
        if len(data) > self.largest:
            self.largest, self.largest_name = len(data), name


def _load_site_templates() -> Environment:
    environment = load_templates(_TEMPLATE_FOLDER)
    environment.globals |= {"type_label": type_label}
    environment.filters |= {"rare": lambda text: Markup(text_to_html(text)), "data": json_for_html}
    return environment


def json_for_html(value: Any) -> Markup:  # noqa: ANN401 - any JSON
    """Return JSON for a `<script type="application/json">`."""
    return Markup(json_for_script(value))


def type_label(type_name: str) -> Markup:
    """Return the HTML of a type's code and, if it has one, its gloss."""
    code = Markup("<span class=code>{}</span>").format(type_name)
    return code + Markup(" {}").format(translate(f"gloss_{type_name}")) if type_name in TYPE_GLOSSES else code


def page_path(name: str, page: int) -> str:
    """`name.html` for the first page (0) of a list, `name-2.html` for the second ..."""
    return f"{name}.html" if not page else f"{name}-{page + 1}.html"


def pages_to_link(page: int, pages: int) -> list[int | None]:
    """The pages (from 0) to offer links to on one of them: the ends and those around; None for a gap."""
    near = sorted({0, pages - 1, *range(max(0, page - 2), min(pages, page + 3))})
    out: list[int | None] = []
    for number in near:
        if out and number - (out[-1] or 0) > 1:
            out.append(None)
        out.append(number)
    return out


def pager_values(name: str, page: int, pages: int) -> dict[str, Any]:
    """What a template wants to know of the pages of a list: this one (from 0), those to link to, and their paths."""
    near = pages_to_link(page, pages)
    wanted = {number for number in (*near, page - 1, page + 1) if number is not None and 0 <= number < pages}
    return {"page": page, "pages": near, "n_pages": pages, "links": {i: page_path(name, i) for i in wanted}}


def sort_types(types: Sequence[str]) -> list[str]:
    """Sort types without repetition: those with a gloss first, in the order of the glosses, then alphabetically."""
    return [name for name in TYPE_GLOSSES if name in types] + sorted(set(types) - set(TYPE_GLOSSES))

"""Templates of the site, and the folder into which its files go."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from rayner import __version__
from rayner.rendering.site_messages import say
from rayner.rendering.templates import environment, shown
from rayner.rendering.translation import GLOSSES
from rayner.site.markup import escaped, script_json

_HERE = Path(__file__).parent


class Folder:
    """A folder that is filled with files; how many, how large."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pages = self.files = self.bytes = self.largest = 0
        self.largest_name = ""
        self._templates = _environment()

    def page(self, name: str, template: str, /, **values: Any) -> None:  # noqa: ANN401 - what the template takes
        """Write a page at the relative path `name`."""
        up = "../" * name.count("/")
        self.write(name, self._templates.get_template(template).render(up=up, version=__version__, **values))
        self.pages += 1

    def script(self, name: str, call: str, *values: Any) -> None:  # noqa: ANN401 - any JSON
        """Write a script that calls `call` with the values."""
        self.write(name, f"{call}({','.join(map(script_json, values))})\n")

    def write(self, name: str, content: str) -> None:
        """Write a text at the relative path `name`."""
        data = content.encode()
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.files += 1
        self.bytes += len(data)
        if len(data) > self.largest:
            self.largest, self.largest_name = len(data), name


def _environment() -> Environment:
    made = environment(_HERE)
    made.globals |= {"m": message, "attribute": attribute, "kind": kind, "say": say}
    made.filters |= {"shown": shown, "rare": lambda text: Markup(escaped(text)), "data": data}
    return made


def data(value: Any) -> Markup:  # noqa: ANN401 - any JSON
    """JSON to stand in a `<script type="application/json">`."""
    return Markup(script_json(value))


@lru_cache(4096)
def message(key: str, *given: object) -> Markup:
    """A message in a `<span>` of its own, which the script turns into the other language."""
    words = [str(item) for item in given]
    filled = Markup(' data-a="{}"').format(script_json(words)) if words else ""
    return Markup('<span data-m="{}"{}>{}</span>').format(key, filled, say(key, *words))


@lru_cache(4096)
def attribute(name: str, key: str) -> Markup:
    """An attribute that holds a message, such as aria-label."""
    return Markup('{}="{}" data-ma="{}:{}"').format(name, say(key), name, key)


def kind(name: str) -> Markup:
    """A type's code and, if it has one, its gloss."""
    code = Markup("<span class=code>{}</span>").format(name)
    return code + Markup(" ") + message(f"type_{name}") if name in GLOSSES else code


def numbered(name: str, page: int) -> str:
    """`name.html` for the first page (0) of a list, `name-2.html` for the second ..."""
    return f"{name}.html" if not page else f"{name}-{page + 1}.html"


def neighbours(page: int, pages: int) -> list[int | None]:
    """The pages (from 0) to offer links to on one of them: the ends and those around; None for a gap."""
    near = sorted({0, pages - 1, *range(max(0, page - 2), min(pages, page + 3))})
    out: list[int | None] = []
    for number in near:
        if out and number - (out[-1] or 0) > 1:
            out.append(None)
        out.append(number)
    return out


def pager(name: str, page: int, pages: int) -> dict[str, Any]:
    """What a template wants to know of the pages of a list: this one (from 0), those to link to, and their paths."""
    near = neighbours(page, pages)
    wanted = {number for number in (*near, page - 1, page + 1) if number is not None and 0 <= number < pages}
    return {"page": page, "pages": near, "n_pages": pages, "links": {i: numbered(name, i) for i in wanted}}


def in_order(kinds: Sequence[str]) -> list[str]:
    """Types with a gloss first, in the order of the glosses."""
    return [name for name in GLOSSES if name in kinds] + sorted(set(kinds) - set(GLOSSES))

"""Show a document in a notebook: HTML that needs nothing else, in the colours of the report and the site."""

from dataclasses import asdict
from functools import cache

from jinja2 import Template

from rayner.rendering.bilingual import fill_text
from rayner.rendering.tagged_text import split_by_entities
from rayner.rendering.templates import SHARED_FOLDER, format_value, load_templates
from rayner.rendering.type_styles import assign_type_colours
from rayner.tagging.documents import Document

MAX_SHOWN_CHARS = 20_000  # more text makes notebooks slow
_NOT_SHOWN = ("… {0} more characters", "……另有 {0} 字未显示")
# A class names its colour, so that documents in the same notebook do not change each other. Colours are translucent, so
# that they fit light and dark themes.
_TEMPLATE = """
{%- from "tagged_text.html.j2" import tagged with context -%}
<div class="rayner-text"><style>
.rayner-text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 1.15em; line-height: 2; }
.rayner-text mark { color: inherit; background: hsl(var(--h) var(--s) 50% / .16); \
border-bottom: 2px solid hsl(var(--h) var(--s) 50%); border-radius: 3px 3px 0 0; padding: .08em .12em .04em; \
margin: 0 .06em; }
.rayner-text mark::after { content: "\\2060" attr(data-type); font: 600 .56em/1 system-ui, sans-serif; \
color: hsl(var(--h) var(--s) 50%); margin-left: .25em; }
.rayner-text .by-slm { border-bottom-style: dashed; }
.rayner-text .by-llm { border-bottom-style: dotted; }
{% for hue, saturation in colours %}
.rayner-{{ hue }}-{{ saturation }} { --h: {{ hue }}; --s: {{ saturation }}%; }
{% endfor %}
</style><div lang="lzh">{{ tagged(pieces) }}</div>
{%- if note %}<div>{{ note }}</div>{% endif -%}
</div>
"""


def format_as_html(document: Document) -> str:
    """Return a document as HTML: its text with coloured entities. A tooltip describes each entity.

    Of a long document only the beginning is shown, with the number of the characters that are not.
    """
    n_shown = len(document.text)
    if n_shown > MAX_SHOWN_CHARS:
        starts = (entity.start for entity in document.entities if entity.start < MAX_SHOWN_CHARS < entity.end)
        n_shown = next(starts, MAX_SHOWN_CHARS)
    n_hidden = len(document.text) - n_shown
    shown = [asdict(entity) for entity in document.entities if entity.end <= n_shown]
    colours = assign_type_colours(sorted({entity.type for entity in document.entities}))
    return _load_template().render(
        pieces=split_by_entities(document.text[:n_shown], shown),
        classes={name: f"rayner-{hue}-{saturation}" for name, (hue, saturation) in colours.items()},
        colours=sorted(set(colours.values())),
        note=fill_text(_NOT_SHOWN, format_value(n_hidden)) if n_hidden else None,
    )


@cache
def _load_template() -> Template:
    return load_templates(SHARED_FOLDER).from_string(_TEMPLATE)

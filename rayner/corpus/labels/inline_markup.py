"""Read text with inline markup, such as `<NR>屈原</NR>至於江濱`."""

from rayner.corpus.labels.labelled_texts import BOM, LabelledText, LabelledTexts
from rayner.errors import DataError
from rayner.text.markup import MarkupError, parse_markup


def read_inline_markup(path: str, content: str) -> LabelledTexts:
    """Read a file as one text. Raises DataError, which names the line, if its markup is faulty."""
    bom = content.startswith(BOM)
    markup = content[bom:]
    try:
        parsed = parse_markup(markup)
    except MarkupError as error:
        line = markup.count("\n", 0, error.offset) + 1
        raise DataError(
            f"{path}:{line}: expected markup such as <NR>屈原</NR>, found a fault: {error.reason}; write < and & of "
            "the text as &lt; and &amp;"
        ) from None
    return LabelledTexts([LabelledText(parsed.text, parsed.spans, path)], "inline markup", {"bom": int(bom)})

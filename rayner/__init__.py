"""rayner: named entities in large historical Chinese corpora, by two models that help each other.

`load` returns the tagger of a trained run. `docs/python.md` shows how to use it. What is not listed in `__all__` may
change without notice.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rayner.tagging.documents import Document, Entity
    from rayner.tagging.loading import load
    from rayner.tagging.tagger import FusionTagger

__version__ = "0.1.0"
__all__ = ["Document", "Entity", "FusionTagger", "load"]

_MODULES = {
    "Document": "rayner.tagging.documents",
    "Entity": "rayner.tagging.documents",
    "FusionTagger": "rayner.tagging.tagger",
    "load": "rayner.tagging.loading",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a function or a class of `__all__`
    """Import what is asked for, so that `import rayner` stays fast."""
    if name not in _MODULES:
        raise AttributeError(f"module 'rayner' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)

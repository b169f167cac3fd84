"""rayner: named entities in large historical Chinese corpora, by two models that help each other."""

__version__ = "0.1.0"

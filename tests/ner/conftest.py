"""The same examples on every run; `pytest tests/ner --hypothesis-profile=explore` draws new ones, and many."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("explore", deadline=None, max_examples=2000)
if settings.get_current_profile_name() == "default":
    settings.load_profile("repeatable")

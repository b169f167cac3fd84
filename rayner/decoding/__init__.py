"""How the LLM answers: under the tag grammar, so that every answer is the text itself with tags.

Start with `engine.py` (the protocol `AnswerEngine`), then `greedy.py` (the plain one) and `draft_verify.py` (the fast
one, which verifies the small model's entities as a draft). `long_texts.py` answers texts of any length. This room may
not import Ray.
"""

"""How the LLM answers: it copies the text and adds tags around entities.

The tag grammar allows only the text's own characters and tags, so every answer without its tags is the text.

Start with `engine.py`, which has the protocol `AnswerEngine`. Then read `greedy.py`, the simple engine, and
`draft_verify.py`, the fast engine, which takes the small model's entities as a draft and verifies it. `free.py` lets
the LLM write what it wants. `long_texts.py` answers texts of any length. This package may not import Ray.
"""

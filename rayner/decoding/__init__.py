"""How the LLM answers: decoding under the tag grammar, so that every answer is the text itself with tags.

Start with `engine.py`, which has the protocol `AnswerEngine`. Then read `greedy.py`, the simple engine, and
`draft_verify.py`, the fast engine, which takes the small model's entities as a draft and verifies it. `long_texts.py`
answers texts of any length. This package may not import Ray.
"""

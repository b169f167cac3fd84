"""The small model (SLM), which labels each character: an encoder, a CRF, or the user's own tagger.

Start with `tagger.py`. It has two protocols: `Tagger` (a trained model) and `TaggerFamily` (trains and loads taggers).
To add a family, implement both protocols and add the family to `families.py`. This package may not import Ray or the
packages of the LLM (`rayner/llm`, `rayner/decoding`).
"""

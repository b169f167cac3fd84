"""The small model (SLM), which labels each character: an encoder, a CRF, or the user's own tagger.

Start with `tagger.py`: the protocols `Tagger` (a trained model) and `TaggerFamily` (how one is trained and loaded).
To add a family, implement both and add it to `families.py`. This room may not import Ray, nor the rooms of the LLM.
"""

"""The small model (SLM): an encoder, a CRF, or the user's own tagger."""

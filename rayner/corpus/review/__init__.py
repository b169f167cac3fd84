"""Sentences for review: which to correct first, out to a reviewer, and corrected ones back as training data."""

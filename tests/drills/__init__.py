"""Fault drills: a tagging job is disturbed at a random moment, resumed, and must end with the undisturbed output."""

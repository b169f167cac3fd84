"""A seeded simulation of tagging a corpus: one process, a file system in memory, and faults at any file operation."""

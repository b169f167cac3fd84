"""Checkpoint folders: how to get one (`rayner fetch`), and checks of its files before a job starts.

Start at `fetch.fetch_checkpoint` and at `weight_files.check_checkpoint_and_read_weight_facts`. `hub` talks to the model
hub; `pickle_conversion` is the only module that opens pickles, with torch's restricted unpickler.
"""

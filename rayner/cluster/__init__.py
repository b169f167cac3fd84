"""Where work happens: the only package that imports Ray. It decides nothing about entities."""

import os

# Ray Data holds a fast stage back only when its object store is half full; by then thousands of units would wait, done
# by the small model and lost in a crash. With 0 it does so whenever more wait than the next stage has in hand.
os.environ.setdefault("RAY_DATA_DOWNSTREAM_CAPACITY_OBJECT_STORE_BUDGET_UTIL_THRESHOLD", "0")

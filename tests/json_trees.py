"""The values in a JSON tree, each by its path: the keys and indices from the root."""

import copy
from functools import reduce
from operator import getitem


def paths_in(tree, path=(), max_items=None):
    """Yield the path of each value, first of the tree itself; of each list, those of the first `max_items` items."""
    yield path
    children = ()
    if isinstance(tree, dict):
        children = tree.items()
    elif isinstance(tree, list):
        children = enumerate(tree[:max_items])
    for key, child in children:
        yield from paths_in(child, (*path, key), max_items)


def value_at(tree, path):
    return reduce(getitem, path, tree)


def changed(tree, path, value):
    """Return a tree in which the value at the path is another one; for `...`, in which its key is missing.

    It shares all that is not on the path with the first tree, because a copy of a large tree takes too long.
    """
    if not path:
        return value
    key, *rest = path
    parent = copy.copy(tree)
    if rest:
        parent[key] = changed(tree[key], rest, value)
    elif value is ...:
        del parent[key]
    else:
        parent[key] = value
    return parent

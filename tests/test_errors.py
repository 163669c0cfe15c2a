"""The tree of errors in the docstring is the tree of the classes."""

import inspect
import re

from cosmos_ops import errors
from cosmos_ops.errors import CosmosError, RecordNotFoundError

LINE = re.compile(r"^(?P<branch>[│├└─ ]*)(?P<name>\w+Error)(?P<rest>.*)$", re.MULTILINE)


def drawn():
    """Name to parent and `retry_helps`, as the docstring says."""
    path, tree = [], {}
    for line in LINE.finditer(errors.__doc__):
        depth = len(line["branch"]) // 4
        path[depth:] = [line["name"]]
        tree[line["name"]] = (path[depth - 1] if depth else None, "(retry helps)" in line["rest"])
    return tree


def defined():
    classes = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, CosmosError)]
    return {found.__name__: (parent_of(found), found.retry_helps) for found in classes}


def parent_of(found):
    return next((base.__name__ for base in found.__bases__ if issubclass(base, CosmosError)), None)


def test_the_tree_is_as_drawn():
    assert drawn() == defined()
    assert len(drawn()) > 20


def test_every_class_says_what_happened():
    assert all(found.__doc__ for _, found in inspect.getmembers(errors, inspect.isclass))


def test_a_record_that_is_not_found_says_so_without_quotes():
    assert str(RecordNotFoundError("there is no run 'rs_1'")) == "there is no run 'rs_1'"

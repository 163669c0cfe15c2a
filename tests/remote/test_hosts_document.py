"""docs/hosts.md explains every message that a host can cause: each is found in the code, and looked for on the page."""

import ast
import re
from pathlib import Path

import pytest

import cosmos_ops
from cosmos_ops import errors
from cosmos_ops.remote.foreign import FOREIGN

ROOT = Path(cosmos_ops.__file__).parents[1]
PAGE = " ".join((ROOT / "docs" / "hosts.md").read_text(encoding="utf-8").split())
ABOUT_THIS_MACHINE = ("local.py", "files.py", "landing.py", "build_context.py", "spec.py")
FILES = [
    *sorted((ROOT / "cosmos_ops" / "remote").glob("*.py")),
    ROOT / "flows" / "hosts.py",
    ROOT / "deployments" / "host_adding.py",
]
OURS = {name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, errors.HostError)}
WORDS_MIN = 8


def messages(path):
    """What the errors about hosts in a module say: of each the longest piece without a variable, before what it advises."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in OURS and node.args:
            parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
            text = "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in parts)
            pieces = re.split(r"\0|: |\(", text.partition(";")[0])
            yield max((piece.strip(" ,.") for piece in pieces), key=len)


@pytest.mark.parametrize("path", [path for path in FILES if path.name not in ABOUT_THIS_MACHINE], ids=lambda path: path.name)
def test_every_message_is_explained(path):
    assert [found for found in messages(path) if len(found) >= WORDS_MIN and found not in PAGE] == []


@pytest.mark.parametrize("words", sorted({words.partition(";")[0] for _, _, words in FOREIGN}))
def test_every_message_for_a_foreign_error_is_explained(words):
    assert words in PAGE


@pytest.mark.parametrize("name", sorted(OURS - {"HostError"}))
def test_every_class_is_named(name):
    assert name in PAGE

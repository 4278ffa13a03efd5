"""The page of errors is read out of the code: all of it, or it says what it cannot read."""

import ast

import pytest

from lab.errors import LabError
from tests.errors_page import _errors, _ids, _Reader, collected

CODE = """
def fail(path, taken):
    fix = "mend it" if path else "make it"
    raise LabError(id="bad-file" if path else "no-file", what=f"{path.name} is " "bad", where="", fix=fix)

def other(error):
    id, what = told(error)
    raise UsageError(id=id, what=what)

def told(error):
    if error:
        return "one", "it is one"
    return "two", "it is two"

def dark(id):
    raise LabError(id=id, what="nobody knows")
"""


def read(function: str) -> dict[str, list[str]]:
    tree = ast.parse(CODE)
    found = {}
    for scope, call in _errors(tree):
        if getattr(scope, "name", "") == function:
            reader, words = _Reader(scope, tree), {word.arg: word.value for word in call.keywords}
            found["ids"] = _ids("code.py", words["id"], reader)
            found["what"] = reader.alternatives(words["what"])
            found["fix"] = reader.alternatives(words["fix"]) if "fix" in words else []
    return found


def test_texts_are_read_as_they_are_built() -> None:
    assert read("fail") == {
        "ids": ["bad-file", "no-file"],
        "what": ["{name} is bad"],
        "fix": ["mend it", "make it"],
    }
    assert read("other") == {"ids": ["one", "two"], "what": ["it is one", "it is two"], "fix": []}


def test_an_id_that_cannot_be_read_is_an_error_and_not_left_out() -> None:
    with pytest.raises(LookupError, match=r"code\.py:\d+: this id is not plain from the code: id"):
        read("dark")


def test_the_errors_that_the_other_tests_meet_are_on_the_page() -> None:
    known = collected()

    assert {"manifest", "lease-held", "docker-unreachable", "compose-flavour", "no-run", "duration"} <= set(known)
    assert all(told.whats and told.exits for told in known.values())
    assert LabError(id="x", what="y").exit_code == 3

"""Holds answers to the version's own OpenAPI document."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from lab.compat.client import Answer


def suits(document: Mapping[str, Any]) -> Callable[[Answer], str]:
    """What is wrong with an answer by its document; "" where nothing is, or nothing is said of it."""
    from jsonschema import Draft202012Validator

    routes = [
        (re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path) + r"\Z"), item) for path, item in document["paths"].items()
    ]
    validators: dict[tuple[str, str, int], Any] = {}

    def found(answer: Answer) -> Any:
        method, _, rest = answer.request.partition(" ")
        path = urlsplit(rest.partition(" ")[0]).path
        item = next((item for route, item in routes if route.match(path)), None)
        operation = (item or {}).get(method.lower())
        if operation is None:
            return None
        key = (method, path if item is None else str(id(item)), answer.status)
        if key not in validators:
            schema = _schema(document, operation, answer.status)
            whole = None if schema is None else {**schema, "components": document.get("components", {})}
            validators[key] = None if whole is None else Draft202012Validator(whole)
        return validators[key]

    def check(answer: Answer) -> str:
        validator = found(answer)
        if validator is None:
            return ""
        error = next(validator.iter_errors(answer.json), None)
        return "" if error is None else f"{'.'.join(map(str, error.absolute_path)) or 'the answer'}: {error.message}"

    return check


def _schema(document: Mapping[str, Any], operation: Mapping[str, Any], status: int) -> Mapping[str, Any] | None:
    from lab.compat.apidiff import resolved

    responses = operation.get("responses", {})
    answer = responses.get(str(status), responses.get(f"{status // 100}XX", responses.get("default")))
    if answer is None:
        return None
    content = resolved(document, answer).get("content", {})
    return next((content[kind].get("schema") for kind in content if kind.partition(";")[0].endswith("json")), None)

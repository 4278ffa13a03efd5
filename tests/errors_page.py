"""docs/reference/errors.md: every error of the lab, as the code has it. The text stands in the code alone."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
INTRO = "<!-- made from the code: make docs -->"
ENVIRONMENT, USAGE = "3", "2"
LISTED = {("lab/cli/_shape.py", "id"): ("duration", "gate", "ratio")}
"""Ids that come out of a table."""
PASSED_ON = {"error.id", "refusal", "done['refused']"}
"""An error that is told once more, and what the proxy refused."""


@dataclass(slots=True)
class Told:
    """All that the code says under one id."""

    whats: list[str] = field(default_factory=list)
    fixes: list[str] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)


def errors_page() -> str:
    lines = [
        "# Errors",
        "",
        INTRO,
        "",
        "An error is told as what happened, where, and how to mend it; its id stands in brackets, and is the `id` of",
        "`lab.error/1` with `--json`. An id does not change; its words may. What stands in braces is put in.",
        "",
    ]
    for id, told in sorted(collected().items()):
        lines += [f"## {id}", ""]
        lines += [f"- {what}" for what in _telling(told.whats)]
        lines += ["", f"Exit {' or '.join(told.exits)}."]
        if told.fixes:
            lines += ["", "Fix: " + "; or: ".join(_telling(told.fixes)) + "."]
        lines.append("")
    return "\n".join(lines)


def collected() -> dict[str, Told]:
    found: dict[str, Told] = {}
    for path in sorted(ROOT.glob("lab/**/*.py")):
        name = str(path.relative_to(ROOT))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for scope, call in _errors(tree):
            reader = _Reader(scope, tree)
            words = {word.arg: word.value for word in call.keywords}
            for id in _ids(name, words["id"], reader):
                told = found.setdefault(id, Told())
                _add(told.whats, reader.alternatives(words["what"]))
                _add(told.fixes, reader.alternatives(words["fix"]) if "fix" in words else [])
                _add(told.exits, _exits(call, words))
    return found


def _add(to: list[str], texts: list[str]) -> None:
    to += [text for text in dict.fromkeys(texts) if text and text not in to]


def _telling(texts: list[str]) -> list[str]:
    """What is put in whole tells nothing, unless there is nothing else."""
    return [text for text in texts if not re.fullmatch(r"\{[^}]*\}", text)] or texts


def _errors(tree: ast.AST, scope: ast.AST | None = None) -> Iterator[tuple[ast.AST, ast.Call]]:
    """Every call that makes an error, with the function that it stands in."""
    for child in ast.iter_child_nodes(tree):
        inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else scope
        if isinstance(child, ast.Call) and {"id", "what"} <= {word.arg for word in child.keywords}:
            callee = ast.unparse(child.func)
            if callee.endswith("Error") or callee in {"kind", "super().__init__"}:
                yield inner or tree, child
        yield from _errors(child, inner)


def _ids(file: str, node: ast.expr, reader: "_Reader") -> list[str]:
    if ast.unparse(node) in PASSED_ON or (file, ast.unparse(node)) == ("lab/errors.py", "id"):
        return []
    if (file, ast.unparse(node)) in LISTED:
        return list(LISTED[file, ast.unparse(node)])
    ids = reader.alternatives(node)
    if not ids or any("{" in id for id in ids):
        raise LookupError(f"{file}:{node.lineno}: this id is not plain from the code: {ast.unparse(node)}")
    return ids


def _exits(call: ast.Call, words: dict[str | None, ast.expr]) -> list[str]:
    if ast.unparse(call.func) == "UsageError":
        return [USAGE]
    if "exit_code" not in words:
        return [ENVIRONMENT]
    names = {"Exit.NO": "1", "Exit.USAGE": "2", "Exit.ENVIRONMENT": "3", "Exit.NO_VERDICT": "4"}
    said = re.findall(r"Exit\.\w+", ast.unparse(words["exit_code"]))
    found = [number for name, number in names.items() if name in said]
    return found or ["1", "3"]


@dataclass(slots=True)
class _Reader:
    """Reads texts as they are built in one function."""

    scope: ast.AST
    module: ast.AST

    def alternatives(self, node: ast.expr, depth: int = 0) -> list[str]:
        match node:
            case ast.Constant(value=str() as text):
                return [_one_line(text)]
            case ast.JoinedStr(values=parts):
                return [_one_line("".join(self._part(part) for part in parts))]
            case ast.IfExp(body=body, orelse=orelse):
                return [*self.alternatives(body, depth), *self.alternatives(orelse, depth)]
            case ast.BoolOp(values=values):
                return [text for value in values for text in self.alternatives(value, depth)]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                ends = self.alternatives(right, depth) or [""]
                return [_one_line(a + b) for a in self.alternatives(left, depth) for b in ends]
            case ast.Name(id=name) if depth < 3:
                assigned = [text for value in self._assigned(name) for text in self.alternatives(value, depth + 1)]
                return list(dict.fromkeys(assigned)) or ["{" + name + "}"]
        return ["{" + _name(node) + "}"]

    def _assigned(self, name: str) -> Iterator[ast.expr]:
        for node in ast.walk(self.scope):
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    names = [one.id if isinstance(one, ast.Name) else "" for one in target.elts]
                    yield from (value for one, value in zip(names, node.value.elts, strict=False) if one == name)
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Call):
                    names = [one.id if isinstance(one, ast.Name) else "" for one in target.elts]
                    if name in names:
                        yield from self._returned(ast.unparse(node.value.func), names.index(name))

    def _returned(self, function: str, place: int) -> Iterator[ast.expr]:
        for node in ast.walk(self.module):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                returns = [one for one in ast.walk(node) if isinstance(one, ast.Return)]
                for one in sorted(returns, key=lambda one: one.lineno):
                    if isinstance(one.value, ast.Tuple):
                        yield one.value.elts[place]

    def _part(self, part: ast.expr) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        assert isinstance(part, ast.FormattedValue)
        return "{" + _name(part.value) + "}"


def _name(node: ast.expr) -> str:
    """What a person calls it: the last word of how the code gets it."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().replace("_", " ")
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            return key
        case (
            ast.Call(func=ast.Attribute(attr="join"), args=[inner, *_])
            | ast.Call(args=[inner, *_])
            | ast.Call(func=inner)
            | ast.Subscript(value=inner)
            | ast.BoolOp(values=[inner, *_])
            | ast.GeneratorExp(elt=inner)
            | ast.ListComp(elt=inner)
        ):
            return _name(inner)
    return "what it is"


def _one_line(text: str) -> str:
    return " ".join(text.split())

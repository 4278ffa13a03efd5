"""Where each key of a YAML document stands, so that an error can name its line."""

from collections.abc import Iterator, Mapping

import yaml

_MERGE = "tag:yaml.org,2002:merge"


def lines_of(text: str) -> Mapping[str, int]:
    """Line numbers, from 1, by the key's dotted path (`services.app.x-lab`). What is repeated stands where it is last.

    What an anchor or a merge brings in stands where it was written. The text is known to be YAML.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return dict(_walk(root, "", frozenset())) if root is not None else {}


def line_of(lines: Mapping[str, int], at: str) -> int | None:
    """The line of that key, or of the nearest one above it that was written."""
    while at not in lines and "." in at:
        at = at.rpartition(".")[0]
    return lines.get(at)


def _walk(node: yaml.Node, at: str, above: frozenset[int]) -> Iterator[tuple[str, int]]:
    if id(node) in above:
        return  # an anchor inside itself
    above |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        yield from _of_mapping(node, at, above)
    elif isinstance(node, yaml.SequenceNode):
        for number, one in enumerate(node.value):
            yield f"{at}.{number}", one.start_mark.line + 1
            yield from _walk(one, f"{at}.{number}", above)


def _of_mapping(node: yaml.MappingNode, at: str, above: frozenset[int]) -> Iterator[tuple[str, int]]:
    merged = [value for key, value in node.value if key.tag == _MERGE]
    for value in merged:
        for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            yield from _walk(one, at, above)
    for key, value in node.value:
        if key.tag != _MERGE:
            path = f"{at}.{key.value}" if at else str(key.value)
            yield path, key.start_mark.line + 1
            yield from _walk(value, path, above)

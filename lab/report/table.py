"""Columns as wide as their widest cell; counts stand to the right."""

from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[str], indent: str) -> list[str]:
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if head in right else cell.ljust(width)
            for head, cell, width in zip(heads, cells, widths, strict=True)
        )
        return (indent + "  ".join(aligned)).rstrip()

    return [line(heads), *(line(row) for row in rows)]

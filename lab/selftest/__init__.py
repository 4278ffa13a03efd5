"""Is the instrument blind? Known harm is counted where the proof does not look, and has to be found. Pure."""

from lab.selftest.table import Harm, Row, Table, rows_of, table_text, table_to_json
from lab.selftest.truth import asked_again, left_unanswered, wrong_writes

__all__ = [
    "Harm",
    "Row",
    "Table",
    "asked_again",
    "left_unanswered",
    "rows_of",
    "table_text",
    "table_to_json",
    "wrong_writes",
]

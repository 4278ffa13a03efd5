"""The client's ledger: a request is written down when it is offered and again when it ends.

Each line is one unbuffered write, so that a killed load leaves its open requests visible and no footer. The file is
only ever appended to, and such a write is never mixed with another's: several processes share it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtest.oracle import Judgement
from loadtest.tally import Counts

SCHEMA = "lab.client-ledger/1"


class LedgerError(Exception):
    """The ledger cannot be written: nothing measured from here on would count."""


class Ledger:
    """`shared`: another process has made it, and writes its header and its footer."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made = 0 if shared else os.O_CREAT | os.O_EXCL
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | made, 0o644)
        except FileExistsError:
            raise LedgerError(f"{path} exists: another load wrote it. Take a new --run") from None
        except OSError as error:
            raise LedgerError(f"{path} cannot be made: {error.strerror}. Check --runs-dir") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def header(self, *, t: int, settings: Mapping[str, object]) -> None:
        self._write({"e": "header", "schema": SCHEMA, **settings, "t": t})

    def offer(
        self,
        *,
        request_id: str,
        cohort: str,
        method: str,
        path: str,
        due: int,
        t: int,
        key: str | None,
        follows: str | None = None,
    ) -> None:
        line: dict[str, object] = {
            "e": "offer", "id": request_id, "cohort": cohort, "method": method, "path": path, "due": due, "t": t
        }  # fmt: skip
        if key is not None:
            line["key"] = key
        if follows is not None:
            line["follows"] = follows
        self._write(line)

    def end(
        self,
        *,
        request_id: str,
        t: int,
        judgement: Judgement,
        ack: int | None,
        more: Mapping[str, int] | None = None,
    ) -> None:
        line: dict[str, object] = {
            "e": "end",
            "id": request_id,
            "t": t,
            "outcome": judgement.outcome,
            "status": judgement.status,
            "version": judgement.version,
            "replica": judgement.replica,
            "first_byte": judgement.trace.first_byte,
            "bytes": judgement.size,
            "reason": judgement.reason,
            "error": judgement.error,
            "conn": judgement.trace.connection,
            "conn_request": judgement.trace.turn,
            **(more or {}),
        }
        if judgement.kind is not None:
            line["kind"] = judgement.kind
        if judgement.detail is not None:
            line["detail"] = judgement.detail
        if ack is not None:
            line["ack"] = ack
        if judgement.writer is not None:
            line["writer"] = judgement.writer
        if judgement.mix is not None:
            line |= {"fault": judgement.mix.fault, "writer": judgement.mix.writer}
            if judgement.mix.field is not None:
                line["field"] = judgement.mix.field
        self._write(line)

    def footer(self, *, t: int, counts: Counts, lag_p99_ms: float, complete: bool) -> None:
        self._write(
            {
                "e": "footer",
                "t": t,
                "offered": counts.offered,
                "finished": counts.finished,
                "not_sent": counts.not_sent,
                "cut": counts.cut,
                "lag_p99_ms": lag_p99_ms,
                "complete": complete,
            }
        )

    def _write(self, line: Mapping[str, object]) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._file, data)
        except OSError as error:
            raise LedgerError(f"{self._path} cannot be written: {error.strerror}") from error
        if written != len(data):
            raise LedgerError(f"{self._path}: a line was cut short; the disk is probably full")

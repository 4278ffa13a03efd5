"""The record of every write that was handled, kept apart from what the write did."""

from dataclasses import dataclass

from sample_app.database import Connection
from sample_app.envelope import Sender

_INSERT = """
    insert into lab_executions (request_id, attempt, operation, replica, version)
    values (%(request_id)s, %(attempt)s, %(operation)s, %(replica)s, %(version)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A request to write something: which one it is, and what it asks for."""

    request_id: str
    attempt: int
    operation: str


async def record(connection: Connection, write: Write, sender: Sender) -> None:
    """Commit one row before the write looks at the parcel's key: a repeated request leaves two rows."""
    values = {
        "request_id": write.request_id,
        "attempt": write.attempt,
        "operation": write.operation,
        "replica": sender.replica,
        "version": sender.version,
    }
    await connection.execute(_INSERT, values)

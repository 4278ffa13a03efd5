"""How an attempt ended."""

from proxy.ledger import Result
from proxy.tunnel import Tunnel

# The replica's doing, whatever its client got to see of it.
REPLICAS_FAULT = frozenset(
    {
        Result.CONNECT_FAILED,
        Result.CLOSED_BEFORE_RESPONSE,
        Result.TRUNCATED,
        Result.MALFORMED,
        Result.TIMEOUT,
    }
)


class Ended:
    """How an attempt ended. Unless `answered`, the client has seen nothing and gets status and reason."""

    __slots__ = ("answered", "keep_alive", "message", "reason", "result", "status", "tunnel")

    def __init__(
        self,
        result: Result,
        *,
        answered: bool,
        keep_alive: bool = False,
        status: int = 0,
        reason: str = "",
        message: str = "",
    ) -> None:
        self.result = result
        self.answered = answered
        self.keep_alive = keep_alive
        self.status = status
        self.reason = reason
        self.message = message
        self.tunnel: Tunnel | None = None


ANSWERED = {keep: Ended(Result.OK, answered=True, keep_alive=keep) for keep in (True, False)}

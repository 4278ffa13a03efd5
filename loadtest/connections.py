"""The kept connections. None is used that its server has closed already: nothing was asked on it, nothing is lost."""

import itertools
import select
import time
from collections import deque

from gevent import monkey, socket

# gevent's own would let others run in between
_poll = monkey.get_original("select", "poll")
_RESOLVED_FOR_S = 1.0


class Connection:
    """A socket that counts what is asked on it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.socket = sock
        self.number = number
        self.turn = 0

    @property
    def idle_and_open(self) -> bool:
        """False if anything came without being asked for: an end, or an answer to nobody."""
        watch = _poll()
        watch.register(self.socket.fileno(), select.POLLIN)
        return not watch.poll(0)

    def close(self) -> None:
        self.socket.close()


class Connections:
    def __init__(self, host: str, port: int, *, kept: int) -> None:
        self._host = host
        self._port = port
        self._kept = kept
        self._idle: deque[Connection] = deque()
        self._numbers = itertools.count(1)
        self._addresses: list[tuple[int, int, int, object]] = []
        self._resolved_at = 0.0

    def take(self, *, fresh: bool = False) -> Connection:
        """Return the one used last, or a new one."""
        while self._idle and not fresh:
            known = self._idle.pop()
            if known.idle_and_open:
                return known
            known.close()
        return Connection(self._connect(), next(self._numbers))

    def give_back(self, connection: Connection) -> None:
        if len(self._idle) < self._kept:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> socket.socket:
        failed: OSError | None = None
        for family, kind, protocol, address in self._resolve():
            made = socket.socket(family, kind, protocol)
            try:
                made.connect(address)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                made.close()
                failed = failed or error
            except BaseException:  # the deadline
                made.close()
                raise
            else:
                return made
        self._resolved_at = 0.0
        raise failed or OSError(f"{self._host} has no address")

    def _resolve(self) -> list[tuple[int, int, int, object]]:
        # asked again each second: a proxy that came back may have another address
        if time.monotonic() - self._resolved_at > _RESOLVED_FOR_S:
            found = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)
            self._addresses = [(family, kind, protocol, address) for family, kind, protocol, _, address in found]
            self._resolved_at = time.monotonic()
        return self._addresses

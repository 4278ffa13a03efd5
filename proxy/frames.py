"""PURE. Where the frames of a WebSocket begin and end (RFC 6455 §5.2), and the close frame of a drain."""

GOING_AWAY = 1001
_MASKED = 0x80
_SHORT, _LONG = 126, 127
_LEAST = 2
_OPCODE, _CLOSE = 0x0F, 0x08


def close_frame(code: int, mask: bytes = b"") -> bytes:
    """Return a Close frame; with a `mask` of four bytes as a client sends it."""
    payload = code.to_bytes(2, "big")
    if not mask:
        return b"\x88\x02" + payload
    return b"\x88\x82" + mask + bytes(byte ^ mask[at] for at, byte in enumerate(payload))


class FrameBoundary:
    """Follows one direction of a tunnel: it looks at frame heads only, whatever the frames carry."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        # A Close frame came by: nothing may follow it.
        self.closing = False

    @property
    def reached(self) -> bool:
        """Whether what was fed so far ends between two frames."""
        return not self._head and self._left == 0

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            at = self._step(data, at)

    def first_in(self, data: bytes) -> int | None:
        """Feed as much of `data` as belongs to the frame under way, and return how much; None: all of it."""
        at = 0
        while at < len(data):
            at = self._step(data, at)
            if self.reached:
                return at
        return None

    def _step(self, data: bytes, at: int) -> int:
        if self._left:
            taken = min(self._left, len(data) - at)
            self._left -= taken
            return at + taken
        self._head.append(data[at])
        if len(self._head) >= _LEAST and len(self._head) == self._head_length():
            self._left = self._payload_length()
            self.closing = self.closing or self._head[0] & _OPCODE == _CLOSE
            self._head.clear()
        return at + 1

    def _head_length(self) -> int:
        short = self._head[1] & ~_MASKED
        extended = 2 if short == _SHORT else 8 if short == _LONG else 0
        return _LEAST + extended + (4 if self._head[1] & _MASKED else 0)

    def _payload_length(self) -> int:
        short = self._head[1] & ~_MASKED
        if short < _SHORT:
            return short
        return int.from_bytes(self._head[2 : 4 if short == _SHORT else 10], "big")

"""PURE. As much of HTTP/1.1 as the bench's own clients need to see where an answer ends and whether it is right."""

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def complete(data: bytes | bytearray) -> bool:
    """Whether one whole answer is there."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = _LENGTH.search(data, 0, head)
    if length:
        return len(data) >= head + 4 + int(length[1])
    if _CHUNKED.search(data, 0, head):
        return data.endswith(b"\r\n0\r\n\r\n")
    return True


def good(data: bytes | bytearray, body: bytes) -> bool:
    """Whether it is a 200 with this body, in one piece or in one chunk."""
    return data[9:12] == b"200" and body in data

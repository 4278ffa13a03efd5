"""What the reasons mean that the proxy gives with an answer of its own (docs/reference/wire.md)."""

from collections.abc import Mapping

STORIES: Mapping[str, str] = {
    "no-ready-replica": "no replica was ready, holding was off",
    "hold-full": "no room was left to hold it",
    "hold-timeout": "held, and no replica became ready",
    "connect-failed": "no replica could be reached",
    "upstream-closed": "the replica closed before it answered",
    "bad-answer": "what the replica sent is no HTTP",
    "upstream-timeout": "the replica did not answer in time",
    "drain-deadline": "aborted at the drain deadline",
    "bad-request": "the proxy refused it as malformed",
    "header-timeout": "the proxy had no whole request in time",
    "body-too-large": "its body is over the proxy's limit",
    "too-many-connections": "the proxy has all connections it takes",
    "loop": "it went round in a loop",
    "answered-here": "the proxy answered it itself",
}

LEFT = "client-gone"
"""Stands in the ledger only, for nobody was answered: the request was held until its client left."""


def story(reason: str | None) -> str | None:
    """None for no reason, and for one that this lab does not know."""
    told = STORIES.get(reason or "")
    return told and f"{told} ({reason})"

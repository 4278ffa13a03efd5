"""How long each part lasts. A whole run stays under ten minutes.

Many short rounds rather than a few long ones: a median does not care about the rounds that other work fell into. And
many starts rather than one: the same program costs up to a third more or less from one start to the next.
"""

from dataclasses import dataclass

from tests.bench.proxy.figures import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    starts: int = 5
    seconds: int = 2
    direct_seconds: int = 1
    open_rounds: int = 2
    open_seconds: int = 2
    early_requests: int = 100_000
    late_requests: int = 1_000_000
    growth_seconds: float = 240.0
    connections: int = 1000


QUICK = Plan(
    starts=1, seconds=1, open_rounds=1, open_seconds=2, early_requests=5_000, late_requests=50_000, growth_seconds=60.0
)

# At most this share of what ours can do, so that queues do not form, and never more than the generator keeps up with.
OPEN_SHARE = 0.3
OPEN_MOST = 4000
OPEN_CONNECTIONS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    path: str
    connections: int
    post_bytes: int = 0
    own_paths: bool = False


SMALL_PATH = "/small"
SMALL_BODY = '{"data":"' + "." * 130 + '"}'
LARGE_BYTES = 64 * 1024
POST_BYTES = 16 * 1024
REQUESTS = {
    Case.SMALL_1: Request(path=SMALL_PATH, connections=1),
    Case.SMALL_32: Request(path=SMALL_PATH, connections=32),
    Case.OWN_PATHS_32: Request(path=SMALL_PATH, connections=32, own_paths=True),
    Case.LARGE_GET: Request(path="/large.txt", connections=16),
    Case.LARGE_POST: Request(path="/post", connections=16, post_bytes=POST_BYTES),
}

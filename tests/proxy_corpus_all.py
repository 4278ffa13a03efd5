"""The whole corpus of requests, by family."""

from tests import proxy_corpus as heads
from tests import proxy_corpus_bodies as bodies

FAMILIES = [
    heads.request_lines,
    heads.names,
    heads.values,
    heads.lines,
    heads.lengths,
    heads.hosts,
    heads.absolutes,
    bodies.coding_names,
    bodies.codings,
    bodies.chunks,
    bodies.trailers,
    bodies.nominations,
    bodies.followers,
]

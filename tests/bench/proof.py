"""A part of `make bench`: how long a million requests take to reconcile, and in how much memory.

The ledgers are written first, as the parts write them and with the load's own mix; then a process of its own reads and
judges them as `lab roll` does at its end. Its memory is what the system counted at its highest.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMITS = tomllib.loads(Path(__file__).with_name("limits.toml").read_text())["proof"]
REQUESTS = 1_000_000
REPLICAS = 6
RUN = "20261122-232014-v1-v2"
# cohort, method, part of the requests: those of loadtest/locustfile.py
MIX = (
    ("read", "GET", 0.34),
    ("fresh", "GET", 0.05),
    ("page", "GET", 0.10),
    ("write", "POST", 0.10),
    ("idempotent", "POST", 0.10),
    ("patch", "PATCH", 0.10),
    ("read_your_writes", "POST", 0.085),
    ("read_your_writes", "GET", 0.085),
    ("stream", "GET", 0.02),
    ("slow", "GET", 0.02),
)
ONE = """
import json, resource, sys, time
from pathlib import Path
from tests.bench.proof import judged
wall, cpu = time.monotonic(), time.process_time()
verdict = judged(Path(sys.argv[1]))
wall, cpu = time.monotonic() - wall, time.process_time() - cpu
mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
assert (verdict.outcome, verdict.judged, verdict.dropped) == ("pass", int(sys.argv[2]), 0), verdict.reasons
print(json.dumps({"wall": wall, "cpu": cpu, "mib": mib}))
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, REQUESTS)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        best = min((_once(folder) for _ in range(2)), key=lambda run: run["wall"])
    print(f"proof: {REQUESTS:,} requests, {size:,.0f} MB of ledgers, {best['cpu']:.1f} s of processor", flush=True)
    rows = {"reconcile-million-seconds": best["wall"], "reconcile-million-mib": best["mib"]}
    missed = [name for name, value in rows.items() if not _row(name, value)]
    return 1 if missed else 0


def judged(folder: Path) -> Any:
    """As at the end of a run; the rows of the database's table come from a file."""
    from lab.operations.evidence import executions_of, read_ledgers
    from lab.proof import Command, Outcome, RunFacts, Step, Swap, judge
    from lab.proof.records import Service

    second = 1_000_000_000
    with (folder / "executions").open() as file:
        executions = executions_of(line.rstrip("\n").split("\t") for line in file)
    facts = RunFacts(
        run=RUN,
        project="bench",
        command=Command.ROLL,
        from_version="v1",
        to_version="v2",
        started_ns=0,
        ended_ns=1,
        rollout=Outcome.DONE,
        steps=tuple(
            Step(name=name, replica=f"app-{slot}.1", start_ns=at * second, end_ns=(at + 1) * second)
            for slot in range(1, REPLICAS, 2)
            for at, name in ((REQUESTS // 2000, "retire"), (REQUESTS // 2000 + 1, "stop"))
        ),
        swaps=tuple(Swap(replica=f"app-{slot}.1", version="v1", exit_code=0) for slot in range(1, REPLICAS, 2)),
        services=tuple(Service(replica=f"app-{slot}.1", from_ns=second) for slot in range(2, REPLICAS + 1, 2)),
        executions=executions,
        stored=0,
        parcels=frozenset(int(execution.request_id.rpartition("-")[2]) for execution in executions),
    )
    return judge(facts, *read_ledgers(folder))


def write(folder: Path, requests: int) -> None:
    """Each request offered, tried, begun, ended and answered, at 1,000 a second, some ms apart."""
    chance = random.Random(1)
    (folder / "logs").mkdir()
    apps = [(folder / "logs" / f"app-{slot}.1.log").open("w") for slot in range(1, REPLICAS + 1)]
    files = [(folder / name).open("w") for name in ("client.jsonl", "proxy.jsonl", "executions")]
    client, proxy = (_lines(file) for file in files[:2])
    logs = [_lines(file) for file in apps]
    for slot, log in enumerate(logs, start=1):
        log({"e": "start", "version": _version(slot), "replica": f"app-{slot}.1", "t": 0})
    client({"e": "header", "schema": "lab.client-ledger/1", "run": RUN, "t": 0})
    proxy({"e": "header", "schema": "lab.proxy-ledger/1", "run": RUN, "t": 0})
    waiting: list[tuple[int, Callable[[], None]]] = []
    cohorts = chance.choices(MIX, [part for *_, part in MIX], k=requests)
    for number, (cohort, method, _) in enumerate(cohorts, start=1):
        t = number * 1_000_000
        while waiting and waiting[0][0] <= t:
            waiting.pop(0)[1]()
        slot = chance.randint(1, REPLICAS)
        request = f"{RUN}-{cohort}-{number}"
        path = "/parcels" if method == "POST" else f"/parcels/{chance.randint(1, number)}"
        took = chance.randint(2_000_000, 9_000_000)
        client({"e": "offer", "id": request, "cohort": cohort, "method": method, "path": path, "due": t, "t": t + 1000})
        logs[slot - 1](
            {"e": "begin", "id": request, "attempt": 1, "method": method, "path": path, "t": t + 300_000 + slot}
        )
        logs[slot - 1]({"e": "end", "id": request, "attempt": 1, "status": 200, "t": t + 300_000 + 10 * slot})
        proxy(_attempt(request, slot, method, path, (t, took)))
        if method != "GET":
            files[2].write(f"{request}\t1\t{method} {path}\tapp-{slot}.1\t{_version(slot)}\n")
        end = _end(request, slot, t + took, number if method != "GET" else None)
        waiting.append((t + 5_000_000, lambda end=end: client(end)))
    for _, last in waiting:
        last()
    end = (requests + 100) * 1_000_000
    proxy({"e": "footer", "t": end, "attempts": requests})
    footer = {"e": "footer", "t": end, "offered": requests, "finished": requests, "not_sent": 0, "lag_p99_ms": 1.0}
    client({**footer, "complete": True})
    for file in (*files, *apps):
        file.close()


def _attempt(request: str, slot: int, method: str, path: str, when: tuple[int, int]) -> dict[str, object]:
    t, took = when
    begin = {"e": "attempt", "id": request, "attempt": 1, "replica": f"app-{slot}.1", "epoch": 7, "method": method}
    sizes = {"bytes_up": 0 if method == "GET" else 120, "bytes_down": 310}
    end = {"result": "ok", "status": 200, "t_end": t + took - 100_000, **sizes}
    return {**begin, "path": path, "reused": True, "t": t + 200_000, **end}


def _end(request: str, slot: int, t: int, ack: int | None) -> dict[str, object]:
    who = {"status": 200, "version": _version(slot), "replica": f"app-{slot}.1", "first_byte": t - 200_000}
    rest = {"bytes": 310, "reason": None, "error": None, "conn": 17, "conn_request": 3}
    return {"e": "end", "id": request, "t": t, "outcome": "ok", **who, **rest, **({} if ack is None else {"ack": ack})}


def _version(slot: int) -> str:
    return "v1" if slot % 2 else "v2"


def _lines(file: Any) -> Callable[[dict[str, object]], None]:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    return lambda row: file.write(encode(row) + "\n") and None


def _once(folder: Path) -> dict[str, Any]:
    argv = [sys.executable, "-c", ONE, str(folder), str(REQUESTS)]
    began = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ})
    if done.returncode:
        raise SystemExit(f"proof: judged nothing after {time.monotonic() - began:.0f} s: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _row(name: str, value: float) -> bool:
    ok: bool = value <= LIMITS[name]
    print(f"target {name} {value:.1f} {LIMITS[name]} {'ok' if ok else 'MISSED'}", flush=True)
    return ok


if __name__ == "__main__":
    sys.exit(main())

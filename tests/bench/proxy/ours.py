"""`python -m proxy` as a black box: started, given two replicas over its admin API, with its ledger on."""

import http.client
import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.proxy.processes import START_SECONDS, NotStartedError, Process

TOKEN = "bench"
ARGV = ("-m", "proxy")
_SERVING = re.compile(r"proxy: serving on (\d+), admin API on (\d+)")
_READINESS = {
    "path": "/readyz",
    "passes": 2,
    "min_ready_ms": 100,
    "interval_ms": 1000,
    "fast_interval_ms": 20,
    "timeout_ms": 1000,
    "fails": 3,
    "identity": False,
}


def environ(folder: Path) -> dict[str, str]:
    for part in ("state", "runs"):
        (folder / part).mkdir(parents=True)
    return {
        "LAB_ADMIN_TOKEN": TOKEN,
        "LAB_STATE_DIR": str(folder / "state"),
        "LAB_RUNS_DIR": str(folder / "runs"),
        "LAB_DATA_PORT": "0",
        "LAB_ADMIN_PORT": "0",
        "LAB_HOST": "127.0.0.1",
    }


def ports(process: Process) -> tuple[int, int]:
    """Wait for the line that names the data port and the admin port."""
    deadline = time.monotonic() + START_SECONDS
    while not (found := _SERVING.search(process.said())):
        process.check()
        if time.monotonic() > deadline:
            raise NotStartedError(f"the proxy does not say that it serves:\n{process.said()[-2000:]}")
        time.sleep(0.02)
    return int(found[1]), int(found[2])


@dataclass(slots=True, kw_only=True)
class Admin:
    """The admin API, and the ledger that it opens and closes."""

    port: int
    runs: Path
    ledger_lines: int = 0
    ledger_lost: int = 0
    _fence: int = 0
    _runs_opened: int = field(default=0, init=False)

    def admit(self, upstreams: tuple[int, ...]) -> None:
        owner = {"host": "bench", "boot": "-", "pid": os.getpid(), "start": "-", "command": "bench", "home": "-"}
        self._fence = self._call("POST", "/v1/lease", {"owner": owner, "ttl_ms": 3_600_000})["fence"]
        for slot, port in enumerate(upstreams, 1):
            join = {"slot": slot, "generation": 1, "version": "v1", "address": f"127.0.0.1:{port}"}
            self._change("PUT", f"/v1/replicas/app-{slot}.1", {**join, "readiness": _READINESS})
        self._wait_until_proven()
        for slot in range(1, len(upstreams) + 1):
            self._change("POST", f"/v1/replicas/app-{slot}.1/admit")

    def open_ledger(self) -> None:
        self._runs_opened += 1
        self._change("PUT", "/v1/run", {"run": f"bench-{self._runs_opened}"})

    def close_ledger(self) -> None:
        """Count its lines, and those that it says are missing; it may be large, so it goes."""
        self._change("DELETE", "/v1/run")
        file = self.runs / f"bench-{self._runs_opened}" / "proxy.jsonl"
        with file.open("rb") as lines:
            for line in lines:
                self.ledger_lines += 1
                if b'"lost"' in line and (record := json.loads(line))["e"] == "lost":
                    self.ledger_lost += record["lines"]
        file.unlink()

    def _wait_until_proven(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        seq = 0
        while True:
            state = self._call("GET", f"/v1/state?since={seq}&wait_ms=1000")
            if all(replica["proven"] for replica in state["replicas"]):
                return
            if time.monotonic() > deadline:
                raise NotStartedError(f"the proxy never found the upstream ready: {state['replicas']}")
            seq = state["seq"]

    def _change(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        return self._call(method, path, {"fence": self._fence, **(body or {})})

    def _call(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise NotStartedError(f"{method} {path}: {response.status} {answer.decode(errors='replace')}")
        return dict(json.loads(answer))

"""Closed-loop load by wrk: the runs that give requests/s and CPU per request."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.proxy.plan import Request
from tests.bench.proxy.processes import pinned

# One line that is read back; wrk's own report is for people.
_DONE = """
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "us": %d, "errors": %d, "p50_us": %d, "p99_us": %d}\\n',
        summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    requests: int
    seconds: float
    errors: int
    p50_us: float
    p99_us: float


def script(request: Request) -> str:
    """PURE."""
    if request.own_paths:
        return f"""local number = 0
request = function()
    number = number + 1
    return wrk.format(nil, "{request.path}?" .. number)
end
{_DONE}"""
    if not request.post_bytes:
        return _DONE
    return f"""wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("x", {request.post_bytes})
{_DONE}"""


def parse(output: str) -> Load:
    """PURE. What the script printed; wrk answers 2xx and 3xx alike, and no server here redirects."""
    found = next((line for line in output.splitlines() if line.startswith('{"requests"')), None)
    if found is None:
        raise ValueError(f"no figures in what wrk printed: {output[-500:]!r}")
    record = json.loads(found)
    return Load(
        requests=record["requests"],
        seconds=record["us"] / 1e6,
        errors=record["errors"],
        p50_us=record["p50_us"],
        p99_us=record["p99_us"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrk:
    program: str
    cpu: int
    folder: Path

    def run(self, port: int, request: Request, seconds: int) -> Load:
        lua = self.folder / f"wrk-{request.post_bytes}-{request.own_paths}.lua"
        lua.write_text(script(request))
        argv = [self.program, "-t1", f"-c{request.connections}", f"-d{seconds}s", "-s", str(lua)]
        done = subprocess.run(
            pinned([*argv, f"http://127.0.0.1:{port}{request.path}"], self.cpu),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 30,
        )
        return parse(done.stdout + done.stderr)

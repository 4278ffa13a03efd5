"""`make bench-proxy`: our proxy beside nginx, HAProxy and a plain aiohttp one, against tests/bench/limits.toml.

One line per target: `target NAME VALUE LIMIT ok|MISSED`; exit 1 when one is missed. A whole run writes
docs/reference/proxy-speed.md and .svg; `--quick` is short and rough, and writes neither.
"""

import datetime as dt
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tests.bench.proxy import machine
from tests.bench.proxy.figures import PROXIES, Results
from tests.bench.proxy.measure import Bench
from tests.bench.proxy.page import page
from tests.bench.proxy.peers import upstream
from tests.bench.proxy.picture import panels, svg
from tests.bench.proxy.plan import QUICK, Plan
from tests.bench.proxy.processes import ROOT, NotStartedError
from tests.bench.proxy.targets import Target, judge

LIMITS = tomllib.loads((ROOT / "tests/bench/limits.toml").read_text())["proxy"]
DOCS = ROOT / "docs/reference"


def main(argv: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    quick = "--quick" in argv
    if quick:
        _say("quick: short rounds, rough figures; docs/ is not written")
    found = machine.tools(_say)
    results = _results(found, QUICK if quick else Plan())
    targets = judge(results, LIMITS)
    for target in targets:
        print(target.line, flush=True)
    if not quick:
        _write(results, targets, machine.description(found))
    return 0 if all(target.ok for target in targets) else 1


def _results(found: machine.Tools, plan: Plan) -> Results:
    cpus = machine.cpus()
    if cpus is None:
        _say("missing: Linux with two processors, one for the proxy and one for the load")
        return Results()
    if not (found.nginx and found.wrk):
        _say("nothing can be measured without nginx, which is the upstream too, and wrk")
        return Results()
    machine.allow_many_files()
    try:
        with tempfile.TemporaryDirectory() as folder, upstream(found, cpus, Path(folder)) as world:
            return Bench(world=world, plan=plan, say=_say).measure()
    except (NotStartedError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        _say(f"the run broke off, and no figure of it counts: {type(error).__name__}: {error}")
        return Results()


def _write(results: Results, targets: tuple[Target, ...], about: str) -> None:
    if any(target.value is None for target in targets) or not all(results.complete(peer) for peer in PROXIES):
        _say("docs/ is not written: figures are missing")
        return
    day = dt.datetime.now(tz=dt.UTC).date().isoformat()
    (DOCS / "proxy-speed.md").write_text(page(results, targets, machine=about, day=day))
    (DOCS / "proxy-speed.svg").write_text(svg(panels(results)))
    _say("written: docs/reference/proxy-speed.md and proxy-speed.svg")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

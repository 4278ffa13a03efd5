"""Refuses a load that cannot be meant, before anything is touched. What only the load can read, the load is asked."""

import subprocess
import sys
from pathlib import Path

from lab.errors import LabError, UsageError
from lab.load_choice import MOST_WORKERS, LoadChoice, LoadSpec
from lab.operations.run import RUN_NAME
from lab.operations.shape import refuse_rate
from lab.project import checkout
from lab.traffic import plan_of

ASK_SECONDS = 60.0
MOST_TIMEOUT = 300.0


def refuse_load(choice: LoadChoice, manifest: LoadChoice) -> LoadSpec:
    """What is offered then. UsageError for what cannot be meant."""
    refuse_rate(choice.rate)
    it = choice.over(manifest).settled()
    if it.min_requests < 0:
        raise UsageError(id="min-requests", what=f"--min-requests {it.min_requests} is below 0", fix="0 or more")
    _refuse_timeout(it)
    if not 1 <= it.workers <= MOST_WORKERS:
        what = f"{it.workers} workers are more than one machine can run"
        raise UsageError(id="workers", what=what, fix=f"--workers 1 to {MOST_WORKERS}")
    if it.locustfile and not Path(it.locustfile).is_file():
        raise UsageError(id="locustfile", what=f"there is no locustfile {it.locustfile}", fix="--locustfile FILE")
    if it.is_of_the_load_s_own_words:
        _ask_the_load(it)
    return it


def _refuse_timeout(it: LoadSpec) -> None:
    """One that no answer can meet, or that slow requests would not."""
    if not 0 < it.request_timeout <= MOST_TIMEOUT:
        raise UsageError(
            id="request-timeout",
            what=f"a request timeout of {it.request_timeout:g}s is not between 0 and {MOST_TIMEOUT:g}s",
            fix="--request-timeout 30s",
        )
    if (it.slow or 0) * 2 > it.request_timeout:
        raise UsageError(
            id="request-timeout",
            what=f"slow requests of {it.slow:g}s are not answered well within a timeout of {it.request_timeout:g}s",
            fix="--request-timeout of at least twice --slow",
        )


def _ask_the_load(it: LoadSpec) -> None:
    flags = plan_of(it, run="c" * RUN_NAME, replicas=1).arguments("http://localhost")
    argv = [sys.executable, "-m", "loadtest", *flags, "--check"]
    try:
        done = subprocess.run(
            argv, cwd=checkout(), capture_output=True, text=True, timeout=ASK_SECONDS, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        what = f"the load was asked whether it can offer that, and said nothing for {ASK_SECONDS:g} s"
        raise LabError(id="load", what=what, fix="does the locustfile wait for something when it is read?") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        _, _, last = said[-1].rpartition("error: ")
        raise UsageError(
            id="load-options",
            what=f"the load cannot offer that: {last.removeprefix('argument ').removeprefix('loadtest: ')}",
            fix="docs/how-to/locustfile.md has the cohorts and the shapes",
        )

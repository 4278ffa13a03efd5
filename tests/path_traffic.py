"""Traffic beside the commands, whatever they do: a load of its own through the lab's port, every answer checked."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import LabCommand
from tests.loadtest_world import Run, load

FLAGS = ("--published-port", "--max-seconds", "600", "--replicas", "2", "--slow-s", "0.5")


@dataclass(slots=True)
class Traffic:
    """`told`: what became of it, once it is over."""

    run: Run
    told: Counter[str]

    @property
    def wrong(self) -> list[str]:
        """What went wrong, in words; empty: every request got its right answer."""
        ends = [end for end in self.run.ends().values() if end["outcome"] not in {"ok", "cut"}]
        return [f"{end['outcome']} {end.get('fault', '')} {end.get('detail', '')}" for end in ends]


@contextmanager
def traffic(lab: LabCommand, folder: Path, *, rate: int = 50) -> Iterator[Traffic]:
    """From before the block until after it; whether all of it was right is for its caller to ask."""
    with load(lab.status()["url"], folder, "--rate", str(rate), *FLAGS) as run:
        run.until("started")
        running = Traffic(run, Counter())
        yield running
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 0
        running.told.update(run.outcomes().values())

"""The load gives up by itself what does not end: that is no failure of whoever answered."""

from pathlib import Path

from tests.loadtest_world import load, served

STUCK = """
import gevent
from locust import HttpUser, task
from loadtest.own import LedgerMixin

class Stuck(LedgerMixin, HttpUser):
    @task
    def look(self):
        self.client.get("/slow?seconds=0.01", check=self.for_ever)

    def for_ever(self, data, version):
        gevent.sleep(600)
"""


def test_what_does_not_end_after_its_deadline_is_given_up_by_the_load_itself(tmp_path: Path) -> None:
    """The answers are there; it is the load's own judgement of them that does not end."""
    mine = tmp_path / "stuck.py"
    mine.write_text(STUCK)
    flags = ("--locustfile", str(mine), "--rate", "20", "--max-requests", "3", "--deadline-s", "1")
    with served() as stub, load(stub.url, tmp_path, *flags) as run:
        run.process.wait(30)
        assert run.outcomes() == dict.fromkeys(run.offers(), "client_abort")
        assert run.offers()
        assert run.ledger_lines()[-1]["complete"] is False

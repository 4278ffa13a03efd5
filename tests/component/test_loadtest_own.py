"""A locustfile of one's own: under the lab's schedule, in the lab's ledger, and as honest as the lab's."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.loadtest_world import ROOT, Request, load, served

HEAD = """
from locust import HttpUser, TaskSet, User, events, task
from loadtest.cohorts import cohort
from loadtest.locustfile import ParcelUser
from loadtest.own import LedgerMixin
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(HEAD + text)
    return str(path)


def test_the_example_of_the_page_runs_and_all_its_requests_are_in_the_ledger(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/locustfile.md").read_text()
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    (tmp_path / "clerk.py").write_text(example[1])
    flags = ("--locustfile", str(tmp_path / "clerk.py"), "--rate", "60", "--max-requests", "60")
    with served() as stub, load(stub.url, tmp_path, *flags) as run:
        assert run.end() == 0
        seen = set(stub.seen)
    offers, ends = run.offers(), run.ends()
    assert {end["outcome"] for end in ends.values()} == {"ok"}
    assert offers.keys() == ends.keys() == {rid for rid in seen if "-probe-" not in rid}
    assert {offer["cohort"] for offer in offers.values()} == {"look", "store"}
    assert len({offer["due"] for offer in offers.values()}) == len(offers)  # a task's second is due when it is asked
    stored = [rid for rid, offer in offers.items() if offer["method"] == "POST"]
    assert {stub.parcels[ends[rid]["ack"]]["key"] for rid in stored} == {offers[rid]["key"] for rid in stored}
    assert run.ledger_lines()[0]["cohorts"] == {"look": 0.75, "store": 0.25}


SLOW_TO_BEGIN = """
class Clerk(LedgerMixin, HttpUser):
    def on_start(self):
        self.client.get("/slow?seconds=0.4")

    @task
    def look(self):
        self.client.get("/livez")
"""


def test_what_a_user_s_own_beginning_waits_for_is_latency_and_no_lag_of_the_schedule(tmp_path: Path) -> None:
    flags = ("--locustfile", written(tmp_path, SLOW_TO_BEGIN), "--rate", "20", "--max-requests", "10")
    with served() as stub, load(stub.url, tmp_path, *flags) as run:
        assert run.end() == 0
    looks = [offer for offer in run.offers().values() if offer["cohort"] == "look"]
    assert max(offer["t"] - offer["due"] for offer in looks) > 300_000_000
    assert run.lines[-1]["lag_p99_ms"] < 200


DOUBTING = """
said = []

class Doubter(LedgerMixin, HttpUser):
    @task
    def wrong(self):
        assert not self.client.get("/livez", check=lambda answer, version: "not what I meant").ok

    @task
    def missing(self):
        answer = self.client.get("/parcels/1")
        assert (answer.status_code, answer.kind) == (404, "wrong-status")

    @task
    def absent(self):
        assert self.client.get("/parcels/1", statuses={404}).ok

    @task
    def fine(self):
        answer = self.client.get("/livez", fresh=True)
        assert answer.ok and answer.json()["data"] == {"live": True}

class Gone(LedgerMixin, User):
    weight = 2

    @task
    def gone(self):
        assert self.client.delete("/gone").kind == "closed"

    @task
    def fine(self):
        assert self.client.get("/livez").ok

@events.request.add_listener
def heard(name, exception, **_):
    said.append((name, exception and str(exception)))

@events.test_stop.add_listener
def told(**_):
    with open(__file__ + ".said", "w") as file:
        print(*sorted({repr(one) for one in said}), sep="\\n", file=file)
"""


def faults(request: Request) -> str | None:
    return {"/parcels/1": "not found", "/gone": "fin"}.get(request.path)


def test_each_failure_of_a_task_is_in_the_ledger_by_name_and_locusts_own_events_are_fired(tmp_path: Path) -> None:
    flags = ("--locustfile", written(tmp_path, DOUBTING), "--rate", "100", "--max-requests", "80")
    with served(faults) as stub, load(stub.url, tmp_path, *flags) as run:
        assert run.end() == 0, run.lines
    offers = run.offers()
    found = Counter((offers[rid]["cohort"], end["outcome"], end.get("kind")) for rid, end in run.ends().items())
    # two users, the second twice as often, each with its tasks in equal parts
    assert found == {
        ("wrong", "contract", "wrong-content"): 10,
        ("missing", "contract", "wrong-status"): 10,
        ("absent", "ok", None): 10,
        ("Doubter.fine", "ok", None): 10,
        ("gone", "reset", "closed"): 20,
        ("Gone.fine", "ok", None): 20,
    }
    said = (tmp_path / "mine.py.said").read_text().splitlines()
    assert {"('gone', 'reset')", "('absent', None)", "('wrong', 'contract')"} <= set(said)


def test_a_cohort_can_be_added_to_the_labs_own(tmp_path: Path) -> None:
    mine = """
class More(ParcelUser):
    @cohort(weight=100)
    def alive(self, turn):
        turn.get("/livez", check=lambda data, version: None if data["live"] else "dead")
"""
    flags = (
        "--locustfile",
        written(tmp_path, mine),
        "--rate",
        "60",
        "--max-requests",
        "60",
        "--cohorts",
        "alive=2,read=1",
    )
    with served() as stub, load(stub.url, tmp_path, *flags) as run:
        assert run.end() == 0, run.lines
    assert Counter(offer["cohort"] for offer in run.offers().values()) == {"alive": 40, "read": 20}
    assert set(run.outcomes().values()) == {"ok"}


UNUSABLE = {
    "class Plain(HttpUser):\n    @task\n    def go(self): ...": "Plain writes no ledger",
    "class A(LedgerMixin, User):\n    @task\n    class B(TaskSet): ...": "A: B is a TaskSet",
    "class A(ParcelUser): ...\nclass B(ParcelUser): ...": "there must be one OpenLoopUser",
    "import nothing_of_that_name": "cannot be imported: ModuleNotFoundError",
    "class A(LedgerMixin, User):\n    @task\n    def with_a_name_that_goes_on(self): ...": "is part of each",
}
LOOK = """
import sys
from gevent import monkey
monkey.patch_all()
from loadtest.own_file import BadLocustfile, users_of
from loadtest.settings import parse
for path in sys.argv[1:]:
    try:
        print(users_of(parse(["--target", "http://x", "--run", "r" * 38, "--locustfile", path])))
    except BadLocustfile as error:
        print(error)
"""


def test_a_locustfile_that_cannot_be_used_says_what_to_change(tmp_path: Path) -> None:
    paths = []
    for number, text in enumerate(UNUSABLE):
        (tmp_path / str(number)).mkdir()
        paths.append(written(tmp_path / str(number), text))
    command = [sys.executable, "-c", LOOK, *paths, str(tmp_path / "none.py")]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    for message, line in zip([*UNUSABLE.values(), "there is no such Python file"], said, strict=True):
        assert message in line


def test_a_cohort_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with load("http://127.0.0.1:1", tmp_path, "--cohorts", "reed=1") as run:
        assert run.end() == 2
        assert "there is no cohort reed; there are read," in run.lines[-1]["message"]
        assert not run.ledger.exists()


def test_a_task_that_breaks_ends_the_load_without_a_footer(tmp_path: Path) -> None:
    mine = "class A(LedgerMixin, User):\n    @task\n    def go(self): self.client.get('/livez', name='x')"
    with served() as stub, load(stub.url, tmp_path, "--locustfile", written(tmp_path, mine)) as run:
        assert run.end() == 3
        assert "TypeError" in run.lines[-1]["message"]
        assert run.ledger_lines()[-1]["e"] != "footer"

"""What the load offers, said in three layers and carried in the journal; what it cannot offer is refused beforehand."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cli import main
from lab.errors import UsageError
from lab.load_choice import Arrivals, LoadChoice, LoadSpec
from lab.manifest import read_manifest
from lab.model import LoadFrom, RolloutSpec
from lab.operations.account import Account, account_from_json, account_to_json
from lab.operations.load_check import refuse_load
from lab.proof import Command
from lab.traffic import plan_of

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "rate": st.floats(0.1, 5000),
    "slow": st.floats(0.1, 10),
    "request_timeout": st.floats(0.1, 300),
    "min_requests": st.integers(0, 1000),
    "cohorts": st.sampled_from(["read=1", "read=3,slow=1"]),
    "shape": st.sampled_from(["steady", "ramp:from=10,to=20,over=5"]),
    "arrivals": st.sampled_from(Arrivals),
    "workers": st.integers(1, 16),
    "locustfile": st.just("/somewhere/clerk.py"),
    "seed": st.integers(0, 99),
    "load_from": st.sampled_from(LoadFrom),
}


def choices() -> st.SearchStrategy[LoadChoice]:
    return st.fixed_dictionaries({}, optional=VALUES).map(lambda said: LoadChoice(**said))


@given(flags=choices(), manifest=choices())
def test_what_a_layer_says_counts_before_a_lower_one_and_that_before_the_usual(
    flags: LoadChoice, manifest: LoadChoice
) -> None:
    settled = flags.over(manifest).settled()
    for field in fields(LoadSpec):
        said = [getattr(layer, field.name) for layer in (flags, manifest)]
        expected = next((value for value in said if value is not None), getattr(LoadSpec(), field.name))
        assert getattr(settled, field.name) == expected


@given(choice=choices(), requests=st.none() | st.integers(1, 9), command=st.sampled_from(Command))
def test_a_run_that_is_gone_on_with_offers_what_it_offered_before(
    choice: LoadChoice, requests: int | None, command: Command
) -> None:
    account = Account(
        command=command,
        from_version="v1",
        to_version="v2",
        spec=RolloutSpec(target=2, replicas=3, surge=1, unavailable=0),
        load=choice.settled(),
        requests=requests,
    )
    assert account_from_json(json.loads(json.dumps(account_to_json(account)))) == account


def test_a_journal_of_before_the_load_had_cohorts_is_read_with_the_usual() -> None:
    account = Account(
        command=Command.ROLL,
        from_version="v1",
        to_version="v2",
        spec=RolloutSpec(target=2, replicas=3, surge=1, unavailable=0),
    )
    told = account_to_json(account)
    for name in (
        "request_timeout",
        "cohorts",
        "shape",
        "arrivals",
        "workers",
        "locustfile",
        "seed",
        "seconds",
        "requests",
    ):
        del told[name]
    assert account_from_json(told) == account


@given(choice=choices())
def test_the_load_is_told_all_of_it(choice: LoadChoice) -> None:
    spec = choice.settled()
    words = plan_of(spec, run="r1", replicas=3).arguments("http://proxy:8080")
    told = dict(zip(words[::2], words[1::2], strict=True))
    assert told["--rate"] == str(spec.rate)
    assert told["--deadline-s"] == str(spec.request_timeout)
    assert told["--arrivals"] == spec.arrivals
    assert told["--shape"] == spec.shape
    assert told["--workers"] == str(spec.workers)
    assert told["--seed"] == str(spec.seed)
    assert told.get("--cohorts", "") == spec.cohorts
    assert told.get("--locustfile", "") == spec.locustfile


def test_slow_requests_have_to_be_in_time_whoever_says_how_slow_and_how_long() -> None:
    with pytest.raises(UsageError) as refused:
        refuse_load(LoadChoice(request_timeout=5.0), LoadChoice(slow=3.0))
    assert refused.value.id == "request-timeout"
    assert refused.value.what == "slow requests of 3s are not answered well within a timeout of 5s"
    assert refuse_load(LoadChoice(request_timeout=6.0), LoadChoice(slow=3.0)).request_timeout == 6.0


@pytest.mark.parametrize("timeout", [0.0, 300.1])
def test_a_request_timeout_that_nothing_can_meet_or_nobody_waits_for_is_refused_also_in_the_manifest(
    timeout: float,
) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_load(LoadChoice(), LoadChoice(request_timeout=timeout))
    assert refused.value.id == "request-timeout"
    assert refused.value.what == f"a request timeout of {timeout:g}s is not between 0 and 300s"


OWN = """
from locust import HttpUser, task
from loadtest.own import LedgerMixin

class Clerk(LedgerMixin, HttpUser):
    @task
    def look(self):
        self.client.get("/livez")
"""


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (LoadChoice(cohorts="reed=1"), "there is no cohort reed; there are read, fresh, page"),
        (LoadChoice(shape="wave:x=1"), "--shape: "),
        (LoadChoice(locustfile="clerk.py", cohorts="read=1"), "there is no cohort read; there are look"),
        (LoadChoice(locustfile="clerk.py", cohorts="look=1"), None),
    ],
    ids=["cohort", "shape", "own cohort", "fine"],
)
def test_what_only_the_load_can_read_it_is_asked_before_anything_is_touched(
    choice: LoadChoice, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clerk.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    file = str(tmp_path / "clerk.py") if choice.locustfile else None
    asked = LoadChoice(locustfile=file).over(choice)
    if said is None:
        assert refuse_load(asked, LoadChoice()).cohorts == "look=1"
        return
    with pytest.raises(UsageError) as refused:
        refuse_load(asked, LoadChoice())
    assert refused.value.id == "load-options"
    assert said in refused.value.what


def test_the_manifest_says_what_the_load_offers_and_its_locustfile_stands_beside_it(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "compose/lab.yaml").read_text()
    load = "load: {rate: 50, arrivals: poisson, workers: 2, cohorts: read=1, locustfile: clerk.py}"
    (tmp_path / "lab.yaml").write_text(shipped.replace("load: {rate: 100, baseline: 3s, min_requests: 500}", load))
    found = read_manifest(tmp_path / "lab.yaml").load.choice
    assert (found.rate, found.arrivals, found.workers) == (50.0, Arrivals.POISSON, 2)
    assert (found.cohorts, found.locustfile) == ("read=1", str(tmp_path / "clerk.py"))


def test_a_flag_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[LoadChoice] = []

    def hear(_lab: object, request: Any, **_: object) -> None:
        heard.append(request.choice)
        raise UsageError(id="heard", what="enough")

    monkeypatch.setattr("lab.operations.load.run_load", hear)
    monkeypatch.setenv("LAB_ARRIVALS", "poisson")
    monkeypatch.setenv("LAB_SEED", "7")
    assert main(["load", "run", "--seed", "8", "--load-from", "host"]) == 2
    assert heard == [LoadChoice(arrivals=Arrivals.POISSON, seed=8, load_from=LoadFrom.HOST)]

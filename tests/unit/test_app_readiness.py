import pytest

from sample_app.faults import Chosen, Fault, is_down
from sample_app.faults.chosen import FIGURES
from sample_app.readiness import Ready, Seen, judge
from sample_app.settings import SettingsError, read

NO_FAULTS: Chosen = {}


def test_a_replica_is_ready_once_a_query_has_succeeded() -> None:
    assert not judge(Seen(), stopping=False, faults=NO_FAULTS).ready
    assert Ready(ready=True, detail="ok") == judge(Seen(reached=True), stopping=False, faults=NO_FAULTS)


def test_database_trouble_after_the_first_query_is_told_and_takes_nothing_back() -> None:
    seen = Seen(reached=True, trouble="database: 08006 gone")

    assert Ready(ready=True, detail="database: 08006 gone") == judge(seen, stopping=False, faults=NO_FAULTS)


def test_database_trouble_before_the_first_query_is_the_reason() -> None:
    seen = Seen(trouble="database: 08006 refused")

    assert Ready(ready=False, detail="database: 08006 refused") == judge(seen, stopping=False, faults=NO_FAULTS)


def test_a_stopping_replica_is_not_ready_whatever_it_saw() -> None:
    assert not judge(Seen(reached=True), stopping=True, faults=NO_FAULTS).ready


def test_never_ready_is_never_ready() -> None:
    answer = judge(Seen(reached=True), stopping=False, faults={Fault.NEVER_READY: 0})

    assert not answer.ready
    assert "never-ready" in answer.detail


def test_missing_columns_are_named() -> None:
    seen = Seen(reached=True, missing=("first_name", "last_name"))
    answer = judge(seen, stopping=False, faults={Fault.CHECKS_SCHEMA: 0})

    detail = "parcels has no column first_name, last_name"
    assert Ready(ready=False, detail=detail, fault=Fault.CHECKS_SCHEMA) == answer


@pytest.mark.parametrize(
    "environ",
    [
        {"APP_FAULTS": "never-ready,sleepy"},
        {"APP_FAULTS": "never-ready=1"},
        {"APP_FAULTS": "flaps=often"},
        {"APP_FAULTS": "flaps=0"},
        {"PORT": "x"},
        {"APP_GRACE_SECONDS": "-1"},
    ],
)
def test_an_environment_that_cannot_be_served_is_refused_by_its_variable(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(environ))):
        read(environ)


def test_the_faults_are_a_comma_list() -> None:
    settings = read({"APP_CODE": "v2", "APP_FAULTS": "never-ready, exits-at-once"})

    assert settings.faults == {Fault.NEVER_READY: 0, Fault.EXITS_AT_ONCE: 0}
    assert settings.version == "v2"


def test_a_fault_has_the_figure_that_is_given_or_else_its_own() -> None:
    settings = read({"APP_FAULTS": "flaps, adds-latency=0.25"})

    assert settings.faults == {Fault.FLAPS: FIGURES[Fault.FLAPS], Fault.ADDS_LATENCY: 0.25}


def test_what_flaps_is_down_in_every_other_period() -> None:
    chosen = {Fault.FLAPS: 0.5}

    assert [is_down(chosen, seconds) for seconds in (0.0, 0.4, 0.6, 0.9, 1.1)] == [False, False, True, True, False]
    assert not is_down({}, 0.6)
    assert not judge(Seen(reached=True), stopping=False, faults=chosen, flapped=True).ready

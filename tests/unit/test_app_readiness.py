import pytest

from sample_app.faults import Fault
from sample_app.readiness import Ready, Seen, judge
from sample_app.settings import SettingsError, read

NO_FAULTS: frozenset[Fault] = frozenset()


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
    answer = judge(Seen(reached=True), stopping=False, faults=frozenset({Fault.NEVER_READY}))

    assert not answer.ready
    assert "never-ready" in answer.detail


def test_missing_columns_are_named() -> None:
    seen = Seen(reached=True, missing=("first_name", "last_name"))
    answer = judge(seen, stopping=False, faults=frozenset({Fault.CHECKS_SCHEMA}))

    assert Ready(ready=False, detail="parcels has no column first_name, last_name") == answer


@pytest.mark.parametrize(
    "environ",
    [{"APP_CODE": "v3"}, {"APP_FAULTS": "never-ready,sleepy"}, {"PORT": "x"}, {"APP_GRACE_SECONDS": "-1"}],
)
def test_an_environment_that_cannot_be_served_is_refused_by_its_variable(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(environ))):
        read(environ)


def test_the_faults_are_a_comma_list() -> None:
    settings = read({"APP_CODE": "v2", "APP_FAULTS": "never-ready, exits-at-once"})

    assert {Fault.NEVER_READY, Fault.EXITS_AT_ONCE} == settings.faults
    assert settings.version == "v2"

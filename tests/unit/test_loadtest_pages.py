"""A page is whole if whoever is asked has its script, and answers what that script reads."""

from functools import partial

import pytest

from loadtest.messages import Reply
from loadtest.mixes import Fault, Mix
from loadtest.oracle import Expected, Judgement, judge
from loadtest.outcomes import Outcome
from loadtest.pages import Needs, check_api, check_html, check_script, needs_of
from sample_app.page import Form, Front, front
from tests.unit.test_loadtest_oracle import PARCEL, reply, seal

V2 = {**PARCEL, "first_name": "Zoë", "last_name": "Müller"}
SHOWN = {"v1": PARCEL, "v2": V2}


def needs(version: str, form: Form) -> Needs:
    found = needs_of(front(version, form).page, version)
    assert found is not None
    return found


def served(by: Front, path: str, version: str) -> Reply:
    body = by.scripts.get(path.removeprefix("/assets/"))
    return reply(body or b"no such file", status=200 if body else 404, version=version)


def asked(answer: Reply, check: object, writer: str, *, sealed: bool) -> Judgement:
    expected = Expected(request_id="r-1", statuses=frozenset({200}), check=check, sealed=sealed, writer=writer)  # type: ignore[arg-type]
    return judge(answer, expected)


@pytest.mark.parametrize("page", ["v1", "v2"])
@pytest.mark.parametrize("answers", ["v1", "v2"])
@pytest.mark.parametrize("form", list(Form))
def test_a_script_and_what_it_reads_are_there_or_the_pair_is_named(page: str, answers: str, form: Form) -> None:
    wants = needs(page, form)
    script = asked(
        served(front(answers, form), wants.script, answers), partial(check_script, needs=wants), page, sealed=False
    )
    listed = seal({"items": [SHOWN[answers]], "next": None}, version=answers)
    api = asked(reply(listed, version=answers), partial(check_api, needs=wants, limit=20), page, sealed=True)

    broken = form is Form.NAIVE and page != answers
    assert (script.outcome, script.mix) == (
        (Outcome.CONTRACT, Mix(fault=Fault.ERROR, writer=page)) if broken else (Outcome.OK, None)
    )
    unread = broken and page == "v2"
    assert api.mix == (Mix(fault=Fault.SHAPE, writer="v2", field="first_name") if unread else None)


def test_a_file_that_is_not_what_its_name_says_is_seen() -> None:
    wants = needs("v1", Form.SAFE)
    other = front("v2", Form.NAIVE)
    found = asked(reply(next(iter(other.scripts.values()))), partial(check_script, needs=wants), "v1", sealed=False)
    assert found.mix == Mix(fault=Fault.SHAPE, writer="v1", field="script")


def test_a_page_without_a_script_is_none() -> None:
    assert check_html(reply(b"<p>hello"), "v1") == "v1 answered with a page that names no script"
    assert check_html(reply(front("v1", Form.SAFE).page), "v1") is None

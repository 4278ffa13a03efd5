"""The app's page and scripts as it serves them, and the whole default load against it: every answer is right."""

import http.client
from pathlib import Path

import pytest

from sample_app.page import Form, front
from tests.loadtest_world import load


def got(replica, path: str) -> tuple[int, str, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=5)
    connection.request("GET", path, headers={"X-Lab-Request-Id": "r-page"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers["Content-Type"], answer.headers["X-Lab-Version"], body


@pytest.mark.parametrize("form", list(Form))
def test_a_version_serves_its_page_and_the_scripts_that_its_form_carries(start_app, schema, form: Form) -> None:
    replica = start_app(schema.to("base").conninfo, "v1", APP_PAGE=form)
    own, both = front("v1", Form.NAIVE), front("v1", Form.SAFE)

    assert got(replica, "/") == (200, "text/html; charset=utf-8", "v1-test", front("v1", form).page)
    for name, script in both.scripts.items():
        status, kind, version, body = got(replica, f"/assets/{name}")
        carried = form is Form.SAFE or name in own.scripts
        assert (status, version) == (200 if carried else 404, "v1-test")
        assert (body == script) is carried
        assert kind.startswith("text/javascript" if carried else "application/json")


def test_the_whole_default_load_finds_nothing_wrong_with_an_app_that_works(start_app, schema, tmp_path: Path) -> None:
    replica = start_app(schema.to("backfilled").conninfo, "v2")
    flags = ("--rate", "60", "--max-seconds", "4", "--replicas", "1", "--slow-s", "0.5")
    with load(f"http://127.0.0.1:{replica.port}", tmp_path, *flags) as run:
        assert run.end() == 0
        wrong = [end for end in run.ends().values() if end["outcome"] != "ok"]
        assert wrong == []
        assert run.lines[-1]["mixes"] == []
        assert {offer["cohort"] for offer in run.offers().values()} >= {"browser", "read_your_writes"}

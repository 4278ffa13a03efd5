"""`lab report` in every format, of one run and of several."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab.cli import main
from lab.cli._verdict import show_run
from lab.operations.run import RunResult
from lab.proof import verdict_to_json
from tests.unit.proof_world import ledger
from tests.unit.report_world import events, world

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command beside a checkout with two runs: r1 is clean, r2 dropped two requests."""
    monkeypatch.setattr("lab.project.checkout", lambda: tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.chdir(tmp_path)
    keep(tmp_path, "r1", drops=False)
    keep(tmp_path, "r2", drops=True)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["report", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def keep(checkout: Path, run: str, *, drops: bool) -> Path:
    folder = checkout / ".lab/default/runs" / run
    folder.mkdir(parents=True)
    made = world(drops=drops)
    verdict = made.verdict()
    told = replace(verdict, run=replace(verdict.run, run=run))
    (folder / "verdict.json").write_text(json.dumps(verdict_to_json(told)))
    (folder / "client.jsonl").write_bytes(b"".join(ledger(made.client)))
    (folder / "events.jsonl").write_text("".join(json.dumps(asdict(event)) + "\n" for event in events()))
    return folder


def test_each_format_tells_the_last_run_and_ends_with_its_exit_code(lab: Run) -> None:
    code, text, err = lab()
    assert (code, err) == (1, "")
    assert "2 dropped of 550" in text
    assert "with 95% confidence" in text
    assert lab("--format", "md")[1].startswith("### ")
    assert ET.fromstring(lab("--format", "junit")[1].encode()).get("failures") == "1"
    told = json.loads(lab("--format", "json")[1])
    assert (told["dropped"], len(told["report"]["timeline"]["seconds"])) == (2, 11)
    assert lab("--json")[1] == lab("--format", "json")[1]


def test_a_page_is_put_beside_the_run_and_named(lab: Run, tmp_path: Path) -> None:
    code, out, _ = lab("r1", "--format", "html")
    assert code == 0
    page = Path(out.strip())
    assert page == tmp_path / ".lab/default/runs/r1/report.html"
    assert page.read_text().startswith("<!doctype html>")


def test_a_report_goes_where_out_says(lab: Run, tmp_path: Path) -> None:
    assert lab("--format", "junit", "--out", "found.xml")[1] == "found.xml\n"
    assert ET.parse(tmp_path / "found.xml").getroot().tag == "testsuites"
    assert lab("--format", "html", "--out", "-")[1].startswith("<!doctype html>")
    code, out, err = lab("--out", "no/such/folder")
    assert (code, out) == (3, "")
    assert "[report-unwritable]" in err


def test_without_its_ledgers_a_verdict_is_still_told(lab: Run, tmp_path: Path) -> None:
    for name in ("client.jsonl", "events.jsonl"):
        (tmp_path / ".lab/default/runs/r2" / name).unlink()
    for format in ("text", "json", "md", "junit", "html"):
        assert lab("--format", format)[0] == 1


def test_runs_are_listed_and_compared(lab: Run) -> None:
    code, out, _ = lab("--list")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, ["run", "r1", "r2"])
    code, out, _ = lab("--compare", "r1", "r2")
    assert code == 0
    assert out.splitlines()[0].split() == ["r1", "r2"]
    assert [run["dropped"] for run in json.loads(lab("--list", "--json")[1])["runs"]] == [0, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("r1", "--list"),
        ("--list", "--compare", "r1", "r2"),
        ("--list", "--format", "html"),
        ("--format", "pdf"),
        ("--compare", "r1"),
    ],
)
def test_what_cannot_be_meant_together_is_refused(lab: Run, arguments: tuple[str, ...]) -> None:
    assert lab(*arguments)[0] == 2


def test_to_compare_with_a_run_that_is_not_there_names_it(lab: Run) -> None:
    code, _, err = lab("--compare", "r1", "r9")
    assert code == 3
    assert "there is no run r9" in err


def test_githubs_summary_gets_the_markdown_at_its_end(
    lab: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    lab()
    assert summary.read_text() == "before\n"
    out = lab("--format", "md")[1]
    assert summary.read_text() == f"before\n{out}\n"


def test_a_roll_appends_to_githubs_summary_too(
    lab: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = RunResult(verdict=world(drops=True).verdict(), folder=tmp_path / ".lab/default/runs/r2", exit_code=1)
    assert show_run(result, as_json=False) == 1
    assert summary.read_text().startswith("### ✖ v1")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no/such/folder"))
    assert show_run(result, as_json=False) == 1
    assert "GITHUB_STEP_SUMMARY cannot be written" in capsys.readouterr().err

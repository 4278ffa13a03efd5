"""The histogram log says what the ledger says, to a thousandth."""

import sys
from pathlib import Path

import pytest

from lab.latency_log import write_latency_log
from lab.proof import read_client
from tests.unit.proof_world import ledger
from tests.unit.report_world import world


def test_a_log_merged_again_has_the_runs_percentiles_and_every_answer(tmp_path: Path) -> None:
    log = pytest.importorskip("hdrh.log")
    histogram = pytest.importorskip("hdrh.histogram")
    made = world()
    path = tmp_path / "latency.hlog"

    assert write_latency_log(path, read_client(ledger(made.client)), {"slow"})

    whole = histogram.HdrHistogram(1, 600_000_000, 3)
    reader = log.HistogramLogReader(str(path), whole)
    tags, intervals = set(), 0
    while (interval := reader.get_next_interval_histogram()) is not None:
        tags.add(interval.get_tag())
        intervals += 1
        whole.add(interval)
    reader.close()
    verdict = made.verdict()
    assert (tags, intervals) == ({"v1", "v2"}, 14)
    assert whole.get_total_count() == verdict.latency.samples
    for percent, expected in ((50, verdict.latency.p50_ms), (99, verdict.latency.p99_ms)):
        assert whole.get_value_at_percentile(percent) / 1000 == pytest.approx(expected, rel=0.001)


def test_where_the_library_is_not_built_there_is_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    assert not write_latency_log(tmp_path / "latency.hlog", read_client([]), ())
    assert not (tmp_path / "latency.hlog").exists()

"""What `make bench-proxy` makes of its measurements: a figure from rounds, a line per target, the page, the picture."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench.proxy import answers, configs, openloop, wrk
from tests.bench.proxy.figures import (
    PROXIES,
    Case,
    ClosedRun,
    Crowd,
    Growth,
    OpenRun,
    Peer,
    Results,
    common_rate,
    percentile,
)
from tests.bench.proxy.page import page
from tests.bench.proxy.picture import panels, svg
from tests.bench.proxy.plan import REQUESTS
from tests.bench.proxy.targets import judge

LIMITS = tomllib.loads((Path(__file__).parents[1] / "bench/limits.toml").read_text())["proxy"]
CPU_US = {Peer.OURS: 60, Peer.NGINX: 30, Peer.HAPROXY: 40, Peer.PLAIN: 400, Peer.DIRECT: 0}
ADDED_US = {Peer.OURS: 150, Peer.NGINX: 100, Peer.HAPROXY: 110, Peer.PLAIN: 900, Peer.DIRECT: 0}


def closed(peer: Peer, case: Case = Case.SMALL_32, *, requests: int = 1000, errors: int = 0) -> ClosedRun:
    return ClosedRun(
        peer=peer,
        case=case,
        requests=requests,
        seconds=0.1,
        errors=errors,
        p50_us=100 + ADDED_US[peer],
        p99_us=200 + ADDED_US[peer],
        cpu_seconds=requests * CPU_US[peer] / 1e6,
        rss_kib=40 * 1024,
    )


def opened(peer: Peer, *, lag: float = 20.0, errors: int = 0) -> OpenRun:
    return OpenRun(
        peer=peer,
        rate=3000,
        answered=9000,
        errors=errors,
        p50_us=100 + ADDED_US[peer],
        p99_us=200 + ADDED_US[peer],
        lag_p50_us=10.0,
        lag_p99_us=lag,
    )


def crowd(peer: Peer) -> Crowd:
    return Crowd(
        peer=peer, connections=1000, before_kib=40_000, idle_kib=52_000, active_kib=60_000, after_kib=55_000, errors=0
    )


GOOD = Results(
    closed=tuple(closed(peer, case) for peer in Peer for case in Case),
    opened=tuple(opened(peer) for peer in Peer),
    growth=Growth(early_requests=100_000, early_kib=40_000, late_requests=1_000_000, late_kib=42_000, errors=0),
    crowds=tuple(crowd(peer) for peer in PROXIES),
    ledger_lines=2_000_000,
    ledger_lost=0,
)


def lines(results: Results) -> dict[str, str]:
    return {target.name: target.line for target in judge(results, LIMITS)}


def test_each_target_is_one_line_of_name_value_limit_and_verdict() -> None:
    assert lines(GOOD) == {
        "cpu-vs-plain": "target cpu-vs-plain 0.15 0.25 ok",
        "cpu-vs-nginx": "target cpu-vs-nginx 2 2.5 ok",
        "throughput-vs-nginx": "target throughput-vs-nginx 1 0.4 ok",
        "added-p99-vs-nginx": "target added-p99-vs-nginx 1.5 2 ok",
        "64k-cpu-vs-plain": "target 64k-cpu-vs-plain 0.15 0.4 ok",
        "16k-post-cpu-vs-plain": "target 16k-post-cpu-vs-plain 0.15 0.4 ok",
        "memory-million": "target memory-million 1.05 1.15 ok",
        "memory-1000-connections": "target memory-1000-connections 20 64 ok",
        "ledger-lines-lost": "target ledger-lines-lost 0 0 ok",
        "peers-without-errors": "target peers-without-errors 4 4 ok",
    }


def test_without_any_measurement_every_target_is_missed() -> None:
    assert [line.rpartition(" ")[2] for line in lines(Results()).values()] == ["MISSED"] * len(LIMITS)


@pytest.mark.parametrize("missing", PROXIES)
def test_a_missing_peer_is_a_missed_target(missing: Peer) -> None:
    rest = tuple(run for run in GOOD.closed if run.peer is not missing)

    assert lines(replace(GOOD, closed=rest))["peers-without-errors"] == "target peers-without-errors 3 4 MISSED"


def test_a_round_with_an_error_gives_no_figure() -> None:
    results = replace(GOOD, closed=(*GOOD.closed, closed(Peer.OURS, errors=1)))

    assert lines(results)["cpu-vs-nginx"] == "target cpu-vs-nginx skipped 2.5 MISSED"


@pytest.mark.parametrize("run", [opened(Peer.NGINX, lag=1500.0), opened(Peer.NGINX, errors=1)])
def test_half_of_the_open_rounds_late_or_one_with_an_error_gives_no_latency(run: OpenRun) -> None:
    results = replace(GOOD, opened=(*GOOD.opened, run))

    assert lines(results)["added-p99-vs-nginx"] == "target added-p99-vs-nginx skipped 2 MISSED"


def test_a_late_generator_is_no_error_of_the_peer() -> None:
    results = replace(GOOD, opened=tuple(opened(peer, lag=2000.0) for peer in Peer))

    assert lines(results)["peers-without-errors"].endswith("4 4 ok")
    assert lines(results)["added-p99-vs-nginx"].endswith("skipped 2 MISSED")


def test_a_few_late_rounds_are_left_out_of_the_latency() -> None:
    late = replace(opened(Peer.NGINX, lag=5000.0), p99_us=9000.0)
    results = Results(opened=(opened(Peer.NGINX), late, opened(Peer.NGINX)))

    assert results.open_figure(Peer.NGINX, lambda run: run.p99_us) == 300


def test_a_value_over_its_limit_is_missed_and_so_is_a_throughput_under_it() -> None:
    slow = replace(closed(Peer.OURS, requests=300), cpu_seconds=300 * 100 / 1e6)
    results = replace(GOOD, closed=(*(run for run in GOOD.closed if run.peer is not Peer.OURS), slow))

    assert lines(results)["cpu-vs-nginx"] == "target cpu-vs-nginx 3.33 2.5 MISSED"
    assert lines(results)["throughput-vs-nginx"] == "target throughput-vs-nginx 0.3 0.4 MISSED"


def test_one_lost_ledger_line_is_missed_and_so_is_an_empty_ledger() -> None:
    assert lines(replace(GOOD, ledger_lost=1))["ledger-lines-lost"].endswith("1 0 MISSED")
    assert lines(replace(GOOD, ledger_lines=0))["ledger-lines-lost"].endswith("skipped 0 MISSED")


def test_a_figure_is_the_median_of_its_rounds() -> None:
    results = Results(closed=tuple(closed(Peer.OURS, requests=count) for count in (100, 900, 500)))

    assert results.rps(Peer.OURS, Case.SMALL_32) == pytest.approx(5000)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert [percentile(list(range(1, 101)), share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7], 0.99) == 7


@pytest.mark.parametrize(("capacity", "rate"), [(12_345, 3700), (90_000, 4000), (200, 100)])
def test_the_open_loops_rate_is_a_share_of_our_capacity_in_whole_hundreds(capacity: float, rate: int) -> None:
    assert common_rate(capacity, share=0.3, most=4000) == rate


def test_what_the_wrk_script_prints_is_read_back_from_between_wrks_own_lines() -> None:
    printed = (
        "Running 3s test @ http://127.0.0.1:1/small\n  1 threads and 32 connections\n"
        '{"requests": 30000, "us": 3000000, "errors": 2, "p50_us": 900, "p99_us": 2000}\n'
    )

    assert wrk.parse(printed) == wrk.Load(requests=30_000, seconds=3.0, errors=2, p50_us=900, p99_us=2000)
    with pytest.raises(ValueError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_only_the_posts_script_has_a_body() -> None:
    assert 'string.rep("x", 16384)' in wrk.script(REQUESTS[Case.LARGE_POST])
    assert "wrk.body" not in wrk.script(REQUESTS[Case.LARGE_GET])


def test_an_open_loop_run_is_read_from_the_generators_line() -> None:
    line = '{"answered": 5, "errors": 0, "p50_us": 1.5, "p99_us": 2.5, "lag_p50_us": 0.1, "lag_p99_us": 0.2}'

    run = openloop.parse(Peer.OURS, 3000, line)

    assert (run.peer, run.rate, run.answered, run.p99_us, run.on_schedule) == (Peer.OURS, 3000, 5, 2.5, True)


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
    ],
)
def test_an_answer_ends_where_its_framing_says(data: bytes, *, whole: bool) -> None:
    assert answers.complete(data) is whole


def test_only_a_200_with_the_right_body_is_good() -> None:
    assert answers.good(b"HTTP/1.1 200 OK\r\n\r\nok", b"ok")
    assert not answers.good(b"HTTP/1.1 502 Bad\r\n\r\nok", b"ok")
    assert not answers.good(b"HTTP/1.1 200 OK\r\n\r\nko", b"ok")


def test_the_peers_keep_their_connections_have_one_worker_and_write_no_log() -> None:
    nginx = configs.nginx("/f", 80, (81, 82), root=False)
    haproxy = configs.haproxy(80, (81, 82))

    assert all(word in nginx for word in ("worker_processes 1;", "access_log off;", "keepalive 1024;", ":81;", ":82;"))
    assert all(word in haproxy for word in ("nbthread 1", "http-reuse always", ":81", ":82"))
    assert not re.search(r"^\s*(option \S*log|log)\b", haproxy, re.MULTILINE)


def test_the_page_has_every_target_case_and_peer_and_shows_its_picture() -> None:
    text = page(GOOD, judge(GOOD, LIMITS), machine="a machine", day="2025-01-02")

    assert all(f"| {name} |" in text for name in LIMITS)
    assert all(case[1:] in text for case in Case)
    assert all(text.count(f"| {peer} |") == len(Case) + 2 for peer in PROXIES)
    assert "(proxy-speed.svg)" in text
    assert "3,000 requests/s for all" in text


def test_a_figure_that_is_missing_is_a_dash_on_the_page() -> None:
    text = page(Results(), judge(Results(), LIMITS), machine="a machine", day="2025-01-02")

    assert "| nginx | - | - |" in text


def test_the_picture_is_xml_with_a_bar_per_peer_and_panel_for_light_and_dark() -> None:
    text = svg(panels(GOOD))
    bars = [element for element in ET.fromstring(text).iter() if element.tag.endswith("rect")]

    assert len(bars) == 4 * len(PROXIES)
    assert "prefers-color-scheme: dark" in text
    widths = [float(bar.attrib["width"]) for bar in bars[:4]]
    assert widths == pytest.approx([570 * 60 / 400, 570 * 30 / 400, 570 * 40 / 400, 570], abs=0.1)


def test_the_picture_says_where_there_is_no_figure() -> None:
    assert svg(panels(Results())).count("no figure") == 4 * len(PROXIES)

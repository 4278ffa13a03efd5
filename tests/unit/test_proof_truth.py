"""What really happened is made first; the ledgers are written from it; the verdict must find it again."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.proof import Verdict, VerdictOutcome
from tests.unit.proof_world import Story, Try, World, good, good_write, ledger, tell

MANY = settings(max_examples=150)

UNRELATED = (
    b"Traceback (most recent call last):\n",
    b'{"e": "begin", "id": "else", "attempt": 1, "replica": "a", "epoch": 1, "method": "GET", "path": "/", "t": 5}\n',
    b'{"e": "weather", "id": "r1-read-0", "t": 5}\n',
    b'{"level": "info", "message": "hello"}\n',
    b"[]\n",
    b"\n",
    b"\xf0\x9f\n",
)


@dataclass(frozen=True, kw_only=True)
class Happened:
    """`dropped`: the user did not get one correct answer with exactly one effect."""

    story: Story
    dropped: bool
    open: bool = False


@st.composite
def histories(draw: st.DrawFn) -> list[Happened]:
    return [draw(happenings(number)) for number in range(draw(st.integers(1, 8)))]


@st.composite
def clean_histories(draw: st.DrawFn) -> list[Happened]:
    """Nothing goes wrong but connections that carried nothing, which the proxy may try again."""
    return [
        served(draw, number, earlier=[unreached()] * draw(st.integers(0, 2)))
        for number in range(draw(st.integers(1, 8)))
    ]


@st.composite
def happenings(draw: st.DrawFn, number: int) -> Happened:
    kind = draw(st.sampled_from(("served", "served", "served", "before the proxy", "failed", "answer lost", "open")))
    earlier = draw(st.lists(st.sampled_from((unreached, killed_unbegun, killed)), max_size=2))
    tries = [make() for make in earlier]
    match kind:
        case "before the proxy":
            return Happened(story=Story(outcome=draw(st.sampled_from(("refused", "reset")))), dropped=True)
        case "failed":
            story = Story(outcome="server_error", status=503, rejected="no-ready-replica", tries=tuple(tries))
            return Happened(story=story, dropped=True)
        case "answer lost":
            outcome = draw(st.sampled_from(("reset", "timeout", "truncated", "contract")))
            return Happened(story=Story(outcome=outcome, tries=(*tries, Try())), dropped=True)
        case "open":
            return Happened(story=Story(outcome=None, tries=tuple(tries)), dropped=False, open=True)
    return served(draw, number, earlier=tries)


def served(draw: st.DrawFn, number: int, *, earlier: list[Try]) -> Happened:
    if not draw(st.booleans()):
        return Happened(story=Story(tries=(*earlier, Try())), dropped=False)
    half_done = any(attempt.begun for attempt in earlier)
    effects = 1 + (half_done and draw(st.booleans()))
    kept = not half_done or draw(st.booleans())
    tries = (*earlier, Try(executed=effects))
    story = Story(method="POST", cohort="write", tries=tries, ack=number, parcel_kept=kept)
    sent_twice = any(attempt.sent for attempt in earlier)
    return Happened(story=story, dropped=sent_twice or effects != 1 or not kept)


def unreached() -> Try:
    return Try(replica="app-2.1", result="connect_failed", sent=False, begun=False, answered=False)


def killed_unbegun() -> Try:
    return Try(result="closed_before_response", begun=False, answered=False)


def killed() -> Try:
    return Try(result="closed_before_response", answered=False)


def dropped_ids(history: list[Happened]) -> set[str]:
    return {f"r1-{happened.story.cohort}-{at}" for at, happened in enumerate(history) if happened.dropped}


def found_ids(verdict: Verdict) -> set[str]:
    return {drop.id for drop in verdict.drops}


def world_of(history: list[Happened]) -> World:
    return tell(*(happened.story for happened in history))


@MANY
@given(histories())
def test_what_was_dropped_is_found_and_nothing_else(history: list[Happened]) -> None:
    verdict = world_of(history).verdict()
    assert found_ids(verdict) == dropped_ids(history)
    assert verdict.open == sum(happened.open for happened in history)
    if dropped_ids(history):
        assert verdict.outcome is VerdictOutcome.FAIL
    elif verdict.open:
        assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    else:
        assert verdict.outcome is VerdictOutcome.PASS


@MANY
@given(clean_histories())
def test_a_clean_history_raises_no_alarm(history: list[Happened]) -> None:
    verdict = world_of(history).verdict(strict=True)
    assert (verdict.outcome, verdict.masked, verdict.answered_ok) == (VerdictOutcome.PASS, 0, len(history))


@MANY
@given(histories(), st.data())
def test_foreign_and_repeated_lines_change_nothing_that_was_found(history: list[Happened], data: st.DataObject) -> None:
    world = world_of(history)
    noisy = noise(data)
    verdict = world.judge_bytes(
        noisy(ledger(world.client)),
        noisy(ledger(world.proxy)),
        {replica: noisy(lines) for replica, lines in world.app_bytes().items()},
    )
    undisturbed = world.verdict()
    assert found_ids(verdict) == dropped_ids(history)
    assert verdict.outcome in {undisturbed.outcome, VerdictOutcome.INCONCLUSIVE}


@MANY
@given(histories(), st.data())
def test_ledgers_cut_anywhere_hide_no_drop_behind_a_pass_and_invent_none(
    history: list[Happened], data: st.DataObject
) -> None:
    world = world_of(history)
    verdict = world.judge_bytes(
        cut(data, ledger(world.client)),
        cut(data, ledger(world.proxy)),
        {replica: cut(data, lines) for replica, lines in world.app_bytes().items()},
    )
    assert found_ids(verdict) <= dropped_ids(history)
    if dropped_ids(history):
        assert verdict.outcome is not VerdictOutcome.PASS


@MANY
@given(histories(), st.data())
def test_lines_lost_from_the_clients_ledger_hide_no_drop_behind_a_pass(
    history: list[Happened], data: st.DataObject
) -> None:
    world = world_of(history)
    lines = ledger(world.client)
    kept = data.draw(st.sets(st.sampled_from(range(len(lines)))))
    verdict = world.judge_bytes(
        [line for at, line in enumerate(lines) if at in kept], ledger(world.proxy), world.app_bytes()
    )
    if dropped_ids(history):
        assert verdict.outcome is not VerdictOutcome.PASS
    if len(kept) < len(lines):
        assert verdict.outcome in {VerdictOutcome.INCONCLUSIVE, VerdictOutcome.FAIL}


@MANY
@given(histories(), st.data())
def test_a_proxy_that_is_killed_and_comes_back_hides_no_drop_behind_a_pass_and_invents_none(
    history: list[Happened], data: st.DataObject
) -> None:
    world = world_of(history)
    kill_anywhere(world, data)
    verdict = world.verdict()
    assert found_ids(verdict) <= dropped_ids(history)
    if dropped_ids(history):
        assert verdict.outcome is not VerdictOutcome.PASS


@MANY
@given(st.integers(1, 8), st.data())
def test_a_restart_at_which_nothing_went_wrong_raises_no_alarm(served_well: int, data: st.DataObject) -> None:
    world = tell(*(good_write(ack=number) if number % 2 else good() for number in range(served_well)))
    kill_anywhere(world, data)
    assert world.verdict(strict=True).outcome is VerdictOutcome.PASS


@MANY
@given(histories(), st.data())
def test_lines_that_the_proxy_lost_hide_no_drop_behind_a_pass_and_invent_none(
    history: list[Happened], data: st.DataObject
) -> None:
    world = world_of(history)
    lost = data.draw(st.sets(st.sampled_from(range(1, len(world.proxy)))))
    end = world.proxy[-1]["t"]
    world.proxy = [row for at, row in enumerate(world.proxy) if at not in lost]
    world.proxy.append({"e": "lost", "lines": len(lost) + 1, "t": end})
    verdict = world.verdict()
    assert found_ids(verdict) <= dropped_ids(history)
    assert verdict.outcome is not VerdictOutcome.PASS


def kill_anywhere(world: World, data: st.DataObject) -> None:
    """Between two requests of the client, with as many lines not written yet as may be."""
    ids = [row.get("id") for row in world.proxy]
    end = data.draw(st.sampled_from([at for at in range(1, len(ids)) if at == 1 or ids[at] != ids[at - 1]]))
    kept = data.draw(st.integers(1, end))
    world.kill_proxy(kept=kept, lost=end - kept, away=1)


def noise(data: st.DataObject) -> Callable[[list[bytes]], list[bytes]]:
    def add(lines: list[bytes]) -> list[bytes]:
        noisy = list(lines)
        for _ in range(data.draw(st.integers(0, 4))):
            repeated = data.draw(st.sampled_from(lines))
            after = noisy.index(repeated) + 1
            noisy.insert(data.draw(st.integers(after, len(noisy))), repeated)
        for _ in range(data.draw(st.integers(0, 3))):
            noisy.insert(data.draw(st.integers(0, len(noisy))), data.draw(st.sampled_from(UNRELATED)))
        return noisy

    return add


def cut(data: st.DataObject, lines: list[bytes]) -> list[bytes]:
    whole = b"".join(lines)
    if data.draw(st.booleans()):
        return lines
    return whole[: data.draw(st.integers(0, len(whole)))].splitlines(keepends=True)

"""A dropped request told as a sentence."""

from lab.proof.result import AppSaw, Drop
from lab.report.numbers import seconds

SAW = {
    AppSaw.NOT_BEGUN: "no replica had begun it",
    AppSaw.UNANSWERED: "a replica had begun it and never answered",
    AppSaw.ANSWERED: "the replica says that it answered",
    AppSaw.NO_LOG: "what the replica saw is not known: there is no log of it",
}


def sentence(drop: Drop) -> str:
    at = f"{seconds(drop.when_s)} into the roll" if drop.when_s >= 0 else f"{seconds(-drop.when_s)} before the roll"
    at += " (it was over)" if drop.step == "after the roll" else ""
    who = f" on {drop.replica}" + (f" ({drop.version})" if drop.version else "") if drop.replica else ""
    step = drop.step or ""
    when = step if step.startswith("after schema") else "" if step.endswith(" the roll") else f"during {step}"
    during = f", {when}" if step and when else ""
    detail = f": {drop.detail}" if drop.detail else ""
    return f"{drop.method} {drop.path} ({drop.id}) failed {at}{who}{during}{detail}. {SAW[drop.app_saw].capitalize()}."

"""The verdict for machines; of a whole report, with what else it tells under `report`."""

import json

from lab.proof.codec import encode, verdict_to_json
from lab.proof.result import Verdict
from lab.report.model import Report

SCHEMA = "lab.report/1"


def render_json(verdict: Verdict) -> str:
    return _dump(verdict_to_json(verdict))


def render_report_json(report: Report) -> str:
    told = encode(report)
    besides = {key: value for key, value in told.items() if key != "verdict"}
    return _dump(verdict_to_json(report.verdict) | {"report": {"schema": SCHEMA, **besides}})


def _dump(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"

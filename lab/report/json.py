"""The verdict for machines."""

import json

from lab.proof.codec import verdict_to_json
from lab.proof.result import Verdict


def render_json(verdict: Verdict) -> str:
    return json.dumps(verdict_to_json(verdict), indent=2, ensure_ascii=False) + "\n"

"""Renders verdicts. Pure: it computes nothing that the verdict does not say."""

from lab.report.json import render_json
from lab.report.text import render_text

__all__ = ["render_json", "render_text"]

"""Renders verdicts and reports. Pure: it computes nothing that verdict, ledger and journal do not say."""

from lab.report.html import render_html
from lab.report.json import render_json, render_report_json
from lab.report.junit import render_junit
from lab.report.markdown import render_markdown
from lab.report.model import Report, report_of
from lab.report.runs import render_compared, render_runs, runs_to_json
from lab.report.text import render_text

__all__ = [
    "Report",
    "render_compared",
    "render_html",
    "render_json",
    "render_junit",
    "render_markdown",
    "render_report_json",
    "render_runs",
    "render_text",
    "report_of",
    "runs_to_json",
]

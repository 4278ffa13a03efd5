"""PURE: the matrix for programs (docs/reference/schemas/compat.schema.json)."""

from dataclasses import asdict
from typing import Any

from lab.compat.model import Api, Failure, Matrix, Result
from lab.compat.show.text import sentence

SCHEMA = "lab.compat/1"


def as_data(matrix: Matrix) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "change": matrix.change,
        "exit_code": matrix.exit_code,
        "sentence": sentence(matrix),
        "phases": list(matrix.phases),
        "versions": list(matrix.versions),
        "levels": list(matrix.levels),
        "stopped_at": matrix.stopped,
        "seconds": [round(seconds, 3) for seconds in matrix.took],
        "cells": [_result(cell) for cell in matrix.cells],
        "pairs": [_result(pair) for pair in matrix.pairs],
        "edges": [_result(edge) for edge in matrix.edges],
        "api": [_api(api) for api in matrix.api],
        "lint": [asdict(one) for one in matrix.lint],
        "path": {
            "stops": [{**asdict(stop), "live": list(stop.live)} for stop in matrix.path.stops],
            "gap": matrix.path.gap,
            "point_of_no_return": matrix.path.no_return,
        },
        "notes": list(matrix.notes),
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "phase": result.phase,
        "versions": list(result.versions),
        "promised": result.promised,
        "state": result.state.value,
        "could_be_allowed": result.could_be_allowed,
        "asked": result.asked,
        "levels": list(result.levels),
        "p99_ms": None if result.p99_ms is None else round(result.p99_ms, 1),
        "failures": [_failure(failure) for failure in result.failures],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {**asdict(failure), "symptom": failure.symptom.value, "steps": list(failure.steps)}


def _api(api: Api) -> dict[str, Any]:
    return {
        "client": api.client,
        "server": api.server,
        "promised": api.promised,
        "known": api.known,
        "state": api.state.value,
        "changes": [asdict(change) for change in api.changes],
    }

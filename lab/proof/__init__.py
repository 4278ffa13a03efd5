"""The proof: ledgers in, verdict out. Pure; the caller reads the files and the database."""

from lab.proof.app_reader import read_app
from lab.proof.client_reader import read_client
from lab.proof.codec import UnknownVerdictError, verdict_from_json, verdict_to_json
from lab.proof.exit_codes import exit_code
from lab.proof.ids import Ids
from lab.proof.proxy_reader import read_proxy
from lab.proof.records import (
    AppLog,
    ClientLedger,
    Command,
    Death,
    Execution,
    Failure,
    Outcome,
    Promise,
    ProxyLedger,
    RunFacts,
    Service,
    Step,
    Swap,
)
from lab.proof.result import Class, Drop, Reason, Verdict, VerdictOutcome
from lab.proof.verdict import judge

__all__ = [
    "AppLog",
    "Class",
    "ClientLedger",
    "Command",
    "Death",
    "Drop",
    "Execution",
    "Failure",
    "Ids",
    "Outcome",
    "Promise",
    "ProxyLedger",
    "Reason",
    "RunFacts",
    "Service",
    "Step",
    "Swap",
    "UnknownVerdictError",
    "Verdict",
    "VerdictOutcome",
    "exit_code",
    "judge",
    "read_app",
    "read_client",
    "read_proxy",
    "verdict_from_json",
    "verdict_to_json",
]

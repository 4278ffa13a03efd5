from lab.cli import _output
from lab.cli._app import fault_app
from lab.cli._options import Json


@fault_app.command("list")
def list_(json: Json = False) -> None:
    """List the versions of the sample app that are bad on purpose, and what becomes of a roll to each."""
    from lab.report.faults import faults_json, faults_text

    _output.result(faults_text(), faults_json(), as_json=json)

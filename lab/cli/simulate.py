from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._complete import version_names
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project, Rate
from lab.cli._shape import EPILOG, Replicas, Sectioned, Source, shaped
from lab.shape import Shape

FAULTS = (
    "What goes wrong: never-ready:v2, slow:v2=20s, dies:v2, dies-after-ready:v2=2s, unready-after-ready:v2=5s, "
    "errors:v2=5%, kill@12s=app-3.1, database-down@10s..30s, engine-gone@10s..20s, image-missing, jump@20s=+90s; "
    "may be given again, or a file of them, one a line: @FILE."
)
ASKS = "What an operator says, and when: pause@10s, resume@20s, abort@8s, rollback@8s, scale@15s=5; may be given again."


@app.command(cls=Sectioned, epilog=EPILOG)
@shaped()
def simulate(
    version: Annotated[
        str, typer.Argument(help="The version to roll to, as the manifest names it.", autocompletion=version_names)
    ],
    shape: Shape,
    replicas: Replicas = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same journal.", metavar="S")] = 1,
    fault: Annotated[list[str] | None, typer.Option("--fault", help=FAULTS, metavar="FAULT")] = None,
    ask: Annotated[list[str] | None, typer.Option("--ask", help=ASKS, metavar="WORD@TIME")] = None,
    compare: Annotated[
        str | None, typer.Option("--compare", help="Several ways to decide, with commas: see --like.", metavar="NAMES")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="Write the journal there, as JSON lines.", metavar="FILE")
    ] = None,
    source: Source = None,
    rate: Rate = None,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Roll a fleet of any size on virtual time, by the same planner and controller, with faults. Touches nothing."""
    from lab.operations.simulate import Question, row_of, simulation_of
    from lab.operations.simulate import compare as compare_all
    from lab.report.simulation import render_rows
    from lab.sim.asks import asks_of
    from lab.sim.faults import faults_of
    from lab.sim.run import simulate as run

    lab = open_lab(project)
    question = Question(
        version=version,
        shape=shape,
        source=source,
        replicas=replicas,
        rate=rate,
        seed=seed,
        faults=faults_of(fault or ()),
        asks=asks_of(ask or ()),
    )
    it, digest = simulation_of(lab, question), ""
    if compare:
        rows = compare_all(lab, question, [name.strip() for name in compare.split(",")])
    else:
        done = run(it)
        rows, digest = (row_of("simulated", done),), done.journal.digest()
        if journal:
            journal.write_bytes(b"".join(done.journal.lines()))
    title = f"{it.source} -> {it.target}: {it.spec.replicas} replicas, {it.rate:g} requests/s, seed {seed}"
    text = render_rows(rows, title=title) + (f"\njournal    sha256 {digest}\n" if digest else "")
    data = {
        "schema": "lab.simulate/1",
        "from": it.source,
        "to": it.target,
        "replicas": it.spec.replicas,
        "seed": seed,
        "journal_sha256": digest or None,
        "rows": [asdict(row) for row in rows],
    }
    _output.result(text, data, as_json=json)

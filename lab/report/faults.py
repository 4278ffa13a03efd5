"""PURE: the faulty versions, for a terminal, for a script and as a page of the documents."""

from typing import Any

from lab.faults import FAULTS, Fault

_PAGE = """\
# Faulty versions

Versions of the sample app that are bad on purpose. `lab fault list` prints the same; this page is made from it
(`LAB_UPDATE_GOLDEN=1 make test`), and `make soak-faults` rolls each of them. Each says in its own log that its fault
fires, every time ([wire.md](wire.md)).

| version | what it does | what the lab does | what one sees | a roll ends |
|---|---|---|---|---|
{rows}

The options that a roll needs for that end:

```sh
{commands}
```
"""


def faults_text() -> str:
    return "\n\n".join(_block(fault) for fault in FAULTS)


def _block(fault: Fault) -> str:
    return "\n".join(
        (
            f"{fault.version} {fault.does}",
            f"  lab    {fault.lab}",
            f"  see    {fault.seen}",
            f"  ends   {ending(fault)}",
            f"  try    {fault.command}",
        )
    )


def ending(fault: Fault) -> str:
    return f"{fault.ends}, exit {fault.exit_code}"


def faults_json() -> dict[str, Any]:
    return {
        "schema": "lab.faults/1",
        "faults": [
            {
                "version": fault.version,
                "does": fault.does,
                "lab": fault.lab,
                "seen": fault.seen,
                "ends": fault.ends,
                "drops": fault.drops,
                "exit_code": fault.exit_code,
                "options": list(fault.options),
            }
            for fault in FAULTS
        ],
    }


def faults_page() -> str:
    rows = [f"| `{f.version}` | {f.does} | {f.lab} | {f.seen} | {ending(f)} |" for f in FAULTS]
    return _PAGE.format(rows="\n".join(rows), commands="\n".join(f.command for f in FAULTS))

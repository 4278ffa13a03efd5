"""What a page asks of whichever replica answers: the script that it names, and what that script reads of the API."""

import re
from dataclasses import dataclass
from hashlib import sha256

from loadtest.messages import Reply
from loadtest.mixes import Fault, Mix
from loadtest.outcomes import Flaw, Kind, contract
from loadtest.parcels import check_page

_SCRIPT = re.compile(rb'<script src="(/assets/app\.([0-9a-f]{12})\.js)" data-needs="([a-z_ ]*)">')


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """`script`: its path, which ends in `digest`. `fields`: of a parcel. `version`: whose page says so."""

    script: str
    digest: str
    fields: tuple[str, ...]
    version: str


def needs_of(page: bytes, version: str) -> Needs | None:
    found = _SCRIPT.search(page)
    if found is None:
        return None
    fields = tuple(found[3].decode().split())
    return Needs(script=found[1].decode(), digest=found[2].decode(), fields=fields, version=version)


def check_html(reply: object, version: str) -> str | None:
    if isinstance(reply, Reply) and needs_of(reply.body, version):
        return None
    return f"{version} answered with a page that names no script"


def check_script(reply: object, version: str, *, needs: Needs) -> Flaw | None:
    """Whether it is the file that its name says."""
    if isinstance(reply, Reply) and sha256(reply.body).hexdigest().startswith(needs.digest):
        return None
    detail = f"{version} answered {needs.script}, of the page of {needs.version}, with another file"
    return contract(Kind.WRONG_CONTENT, detail, Mix(fault=Fault.SHAPE, writer=needs.version, field="script"))


def check_api(data: object, version: str, *, needs: Needs, limit: int) -> Flaw | None:
    """Whether that version's answer has what the other's script reads."""
    wrong = check_page(data, version, after=0, limit=limit)
    if wrong is not None or not isinstance(data, dict):
        return wrong
    missing = [name for name in needs.fields if any(not isinstance(item.get(name), str) for item in data["items"])]
    if not missing:
        return None
    detail = f"the page of {needs.version} needs {', '.join(missing)}, and {version} answers without"
    return contract(Kind.WRONG_SHAPE, detail, Mix(fault=Fault.SHAPE, writer=needs.version, field=missing[0]))

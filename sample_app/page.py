"""The app's page and its hashed script: during a roll one version serves the page, and any is asked for the rest.

In the safe form each version has the scripts of both, as where they are laid out before the roll and kept after it, and
needs of the API only what both answer. In the naive form it has its own script alone, and needs what it answers itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

_STATIC = Path(__file__).parent / "static"
_DIGITS = 12
_NEEDS = {"v1": ("recipient_name",), "v2": ("first_name", "last_name")}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Parcels</title>
<link rel="icon" href="data:,">
<body data-state="waiting">
<h1>Parcels <small>{code}</small></h1>
<ul id="parcels"></ul>
<script src="/assets/{script}" data-needs="{needs}"></script>
</body>
</html>
"""


class Form(StrEnum):
    SAFE = "safe"
    NAIVE = "naive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What a replica serves to a browser. `scripts`: by file name."""

    page: bytes
    scripts: Mapping[str, bytes]


def front(code: str, form: Form) -> Front:
    """Of one version of the code; what is neither V1 nor V2 has V1's page."""
    code = code if code in _NEEDS else "v1"
    texts = {name: (_STATIC / f"{name}.js").read_bytes() for name in _NEEDS}
    names = {name: f"app.{sha256(text).hexdigest()[:_DIGITS]}.js" for name, text in texts.items()}
    needs = _NEEDS[code if form is Form.NAIVE else "v1"]
    carried = [code] if form is Form.NAIVE else list(texts)
    return Front(
        page=_PAGE.format(code=code, script=names[code], needs=" ".join(needs)).encode(),
        scripts={names[name]: texts[name] for name in carried},
    )

"""`python -m sample_app`: one replica, told by its environment what to be."""

import asyncio
import os
import signal
import sys
from types import FrameType

from sample_app import log

_GONE = 78
"""EX_CONFIG: starting it again cannot help."""


def main() -> int:
    # before the imports below, which take most of the boot: nothing was asked yet, so nothing is cut
    signal.signal(signal.SIGTERM, _stop_before_serving)
    from sample_app import settings
    from sample_app.lease import VersionGoneError
    from sample_app.server import serve
    from sample_app.versions import code_of

    try:
        chosen = settings.read(os.environ)
        code = code_of(chosen.code, chosen.code_text)
    except settings.SettingsError as error:
        sys.stderr.write(f"sample_app: {error}\n")
        return 2
    try:
        asyncio.run(serve(chosen, code))
    except OSError as error:
        sys.stderr.write(f"sample_app: cannot serve on port {chosen.port}: {error}\n")
        return 1
    except VersionGoneError as gone:
        log.write("exit", detail=str(gone))
        sys.stderr.write(f"sample_app: {gone}; roll a version that the schema serves\n")
        return _GONE
    log.write("exit")
    return 0


def _stop_before_serving(_number: int, _frame: FrameType | None) -> None:
    log.write("exit", detail="told to stop before serving")
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

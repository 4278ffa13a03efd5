"""`python -m proxy`: serve until SIGTERM, then finish what is in flight."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.errors import NotSavedError, RefusedStartError
from proxy.server import ProxyServer, Settings

# The container's stop timeout has to be longer.
FINISH_SECONDS = 25.0
EXIT_REFUSED = 3


def main() -> int:
    logging.basicConfig(stream=sys.stderr, format="proxy: %(levelname)s %(message)s", level=logging.INFO)
    try:
        asyncio.run(_serve(_settings(os.environ)))
    except RefusedStartError as error:
        sys.stderr.write(f"proxy: {error}\n")
        return EXIT_REFUSED
    return 0


async def _serve(settings: Settings) -> None:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    server = ProxyServer(settings)
    try:
        await server.start()
    except NotSavedError as error:
        raise RefusedStartError(f"{error}. Make {settings.state_dir} (LAB_STATE_DIR) writable.") from error
    except OSError as error:
        ports = f"{settings.data_port} and {settings.admin_port} (LAB_DATA_PORT, LAB_ADMIN_PORT)"
        raise RefusedStartError(f"cannot listen on ports {ports}: {error}") from error
    sys.stderr.write(f"proxy: serving on {server.data_port}, admin API on {server.admin_port}\n")
    await told_to_stop.wait()
    await server.stop(FINISH_SECONDS)


def _settings(environ: Mapping[str, str]) -> Settings:
    token = environ.get("LAB_ADMIN_TOKEN", "")
    if not token:
        raise RefusedStartError("LAB_ADMIN_TOKEN is not set: the admin API would be open to anyone")
    return Settings(
        token=token,
        state_dir=Path(environ.get("LAB_STATE_DIR", "/state")),
        runs_dir=Path(environ.get("LAB_RUNS_DIR", "/runs")),
        data_port=_port(environ, "LAB_DATA_PORT", 8080),
        admin_port=_port(environ, "LAB_ADMIN_PORT", 9000),
        host=environ.get("LAB_HOST", "0.0.0.0"),
    )


def _port(environ: Mapping[str, str], name: str, otherwise: int) -> int:
    value = environ.get(name, str(otherwise))
    if not value.isdigit() or int(value) > 65535:  # noqa: PLR2004
        raise RefusedStartError(f"{name} is {value!r}, not a port number")
    return int(value)


if __name__ == "__main__":
    sys.exit(main())

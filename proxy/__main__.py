"""`python -m proxy`: serve until SIGTERM, then finish what is in flight."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from proxy.errors import NotSavedError, RefusedStartError
from proxy.server import ProxyServer
from proxy.settings import Settings, from_environment

# The container's stop timeout has to be longer.
FINISH_SECONDS = 25.0
EXIT_REFUSED = 3
_GC_OBJECTS = 50_000


def main() -> int:
    logging.basicConfig(stream=sys.stderr, format="proxy: %(levelname)s %(message)s", level=logging.INFO)
    try:
        _runner()(_serve(from_environment(os.environ)))
    except RefusedStartError as error:
        sys.stderr.write(f"proxy: {error}\n")
        return EXIT_REFUSED
    return 0


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Uvloop where it installs: the same event loop in a fifth less of CPU time."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


async def _serve(settings: Settings) -> None:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    server = ProxyServer(settings)
    # A request leaves no cycles behind, but each makes a dozen objects: as it is set, the collector would look through
    # them all the time (a sixth of the proxy's work, measured). What is there by now stays for good.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_OBJECTS, 20, 50)
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


if __name__ == "__main__":
    sys.exit(main())

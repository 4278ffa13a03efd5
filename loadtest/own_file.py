"""Which users there are: the lab's own, those of a locustfile, or those that only GET paths."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

from locust import User

from loadtest.open_loop import OpenLoopUser
from loadtest.own import LedgerMixin, scheduled
from loadtest.settings import Settings

_MODULE = "own_locustfile"
_ID = 64
_NUMBER = 8  # digits of a request's number


class BadLocustfile(Exception):  # noqa: N818 - it is what was found
    """It cannot be used. The message says what to change."""


def users_of(settings: Settings) -> type[OpenLoopUser]:
    if settings.locustfile is not None:
        found: type[OpenLoopUser] = _chosen(_loaded(settings.locustfile), settings.locustfile)
    elif settings.paths:
        from loadtest.paths import users_of_paths

        found = users_of_paths(settings.paths)
    else:
        from loadtest.locustfile import ParcelUser

        found = ParcelUser
    _check_names(found, settings)
    return found


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BadLocustfile(f"--locustfile {path}: there is no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    sys.path.insert(0, str(path.resolve().parent))  # as Locust does: it may have neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadLocustfile(f"--locustfile {path} cannot be imported: {error!r}") from error
    return module


def _chosen(module: ModuleType, path: Path) -> type[OpenLoopUser]:
    users = [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, User) and found.__module__ == _MODULE and not found.abstract
    ]
    loops = [found for found in users if issubclass(found, OpenLoopUser)]
    kinds = tuple(found for found in users if issubclass(found, LedgerMixin))
    bare = [found.__name__ for found in users if not issubclass(found, OpenLoopUser | LedgerMixin)]
    if bare:
        name = bare[0]
        raise BadLocustfile(f"{path}: {name} writes no ledger. Write: class {name}(LedgerMixin, ..)")
    if len(loops) == 1 and not kinds:
        return loops[0]
    if loops or not kinds:
        raise BadLocustfile(f"{path}: there must be one OpenLoopUser, or users with the LedgerMixin, and not both")
    nested = [f"{kind.__name__}: {do.__name__}" for kind in kinds for do in kind.tasks if isinstance(do, type)]
    if nested:
        raise BadLocustfile(f"{path}: {nested[0]} is a TaskSet. Write its tasks as methods of the user")
    return scheduled(kinds)


def _check_names(user: type[OpenLoopUser], settings: Settings) -> None:
    room = _ID - len(settings.run) - len("--") - _NUMBER
    for name in user.cohorts():
        if len(name) > room or not re.fullmatch(r"[A-Za-z0-9._]+", name):
            raise BadLocustfile(f"the cohort {name!r} is part of each request's id: {room} letters and digits at most")

"""The traffic for an app that nobody wrote a locustfile for: GET, path after path, on kept and on fresh connections.

All that is known of a right answer is that it is whole, and that its status is below 400.
"""

from collections.abc import Mapping
from typing import ClassVar

from loadtest.cohorts import Cohort, Turn
from loadtest.open_loop import OpenLoopUser
from loadtest.sender import Ask

RIGHT = frozenset(range(200, 400))


class PathUser(OpenLoopUser):
    abstract = True
    paths: ClassVar[tuple[str, ...]] = ("/",)

    @classmethod
    def cohorts(cls) -> Mapping[str, Cohort]:
        return {"get": Cohort(_kept, weight=9.0), "fresh": Cohort(_fresh, weight=1.0)}

    def ask(self, turn: Turn, *, fresh: bool) -> None:
        turn.sender.send(
            Ask(
                cohort=turn.cohort,
                method="GET",
                path=turn.rng.choice(self.paths),
                due=turn.due,
                statuses=RIGHT,
                sealed=False,
                headers={"Accept": "*/*"},
                fresh=fresh,
            )
        )


def users_of_paths(paths: tuple[str, ...]) -> type[PathUser]:
    return type("PathUsers", (PathUser,), {"paths": paths, "abstract": False})


def _kept(user: PathUser, turn: Turn) -> None:
    user.ask(turn, fresh=False)


def _fresh(user: PathUser, turn: Turn) -> None:
    user.ask(turn, fresh=True)

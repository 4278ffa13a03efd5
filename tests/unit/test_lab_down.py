"""`lab down` as the way out of a lab whose own files are of no use any more."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest

from lab.errors import GatewayError, LabError
from lab.journal import SqliteJournal
from lab.operations.down import down
from lab.project import Project, project_at


@dataclass
class Proxy:
    """An admin API that is up and refuses the lease for a reason, if there is one."""

    reason: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def is_up(self) -> bool:
        return True

    async def take_lease(self, *_: object) -> int:
        if self.reason:
            raise GatewayError(id=self.reason, what="refused")
        return 1

    async def give_back_lease(self) -> None:
        pass


@dataclass
class FakeLab:
    """A lab with so many things on its engine."""

    project: Project
    things: int = 7
    proxy: Proxy = field(default_factory=Proxy)

    @cached_property
    def journal(self) -> SqliteJournal:
        return SqliteJournal(self.project.journal)

    @property
    def host(self) -> SimpleNamespace:
        return SimpleNamespace(sweep=lambda: self.things)

    def gateway(self) -> Proxy:
        return self.proxy

    def refuse_another_checkout(self) -> None:
        pass


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., FakeLab]:
    def made(**more: object) -> FakeLab:
        project = project_at(tmp_path, "default")
        project.folder.mkdir(parents=True, exist_ok=True)
        return FakeLab(project=project, **more)  # type: ignore[arg-type]

    return made


async def take_down(lab: FakeLab) -> int:
    return await down(lab)  # type: ignore[arg-type]  # what `down` needs of a Lab


async def test_the_removal_is_in_the_journal_for_the_next_lab(make: Callable[..., FakeLab]) -> None:
    lab = make()
    lab.journal.append("act-done", "r", 1, {})

    assert await take_down(lab) == 7
    assert [(e.type, e.data) for e in lab.journal.events()][1:] == [("lab-removed", {"removed": 7})]


async def test_where_nothing_was_removed_nothing_is_noted(make: Callable[..., FakeLab]) -> None:
    lab = make(things=0)
    assert await take_down(lab) == 0
    assert not lab.project.journal.exists(), "no journal is made for a lab that is not there"

    lab.journal.append("act-done", "r", 1, {})
    await take_down(lab)
    assert len(lab.journal.events()) == 1


@pytest.mark.parametrize("things", [0, 7])
async def test_a_garbled_journal_is_put_aside_and_the_next_lab_begins_anew(
    make: Callable[..., FakeLab], things: int
) -> None:
    lab = make(things=things)
    lab.project.journal.write_bytes(b"garbled\n" * 200)

    assert await take_down(lab) == things
    assert (lab.project.folder / "journal.db.unreadable-1").read_bytes().startswith(b"garbled")
    assert make().journal.events() == []


async def test_a_proxy_that_knows_other_secrets_does_not_keep_its_lab_alive(make: Callable[..., FakeLab]) -> None:
    assert await take_down(make(proxy=Proxy(reason="unauthorized"))) == 7


async def test_any_other_refusal_of_the_lease_is_obeyed(make: Callable[..., FakeLab]) -> None:
    with pytest.raises(LabError) as caught:
        await take_down(make(proxy=Proxy(reason="proxy-gone")))

    assert caught.value.id == "proxy-gone"

"""An in-memory fleet on virtual time, behind the same ports as the real one: for tests and for `lab simulate`."""

from lab.sim.journal import MemoryJournal
from lab.sim.world import Behaviour, Pace, SimWorld

__all__ = ["Behaviour", "MemoryJournal", "Pace", "SimWorld"]

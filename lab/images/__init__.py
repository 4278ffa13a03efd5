"""The images the lab runs on: found by content, made where they are missing, saved and loaded as one file."""

from lab.images.archive import load, save
from lab.images.bases import Kind
from lab.images.build import Built, build
from lab.images.ensure import (
    Images,
    ensure_all,
    ensure_base,
    ensure_postgres_base,
    ensure_some,
    find_all,
    obtain,
    silent,
    wanted_by,
)
from lab.images.parts import Part
from lab.images.store import Progress

__all__ = [
    "Built",
    "Images",
    "Kind",
    "Part",
    "Progress",
    "build",
    "ensure_all",
    "ensure_base",
    "ensure_postgres_base",
    "ensure_some",
    "find_all",
    "load",
    "obtain",
    "save",
    "silent",
    "wanted_by",
]

"""The example app that is not ours (docs/examples/shop): its image, built once for each version of it."""

from pathlib import Path

from lab.images.bases import Kind
from lab.images.context import digest, pack
from lab.images.ensure import ensure_base
from lab.images.host import this_host
from lab.images.store import Store

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "examples" / "shop"
SOURCES = ("Dockerfile", "requirements.txt", "shop.py")


def build(version: str) -> str:
    """As `docker build -t shop:VERSION --build-arg VERSION=VERSION`, on the lab's own base image. Return the tag."""
    files = {name: (FOLDER / name).read_bytes() for name in SOURCES}
    base, network = ensure_base(Kind.PYTHON), this_host()
    with Store.open() as store:
        made = f"shop-of-tests:{digest(pack(files), store.fingerprint(base), version)}"
        if not store.has(made):
            context = pack({**files, "authorities.pem": network.authorities})
            store.build(context, made, {**network.arguments, "BASE": base, "VERSION": version}, network.mode)
        store.tag(store.image_id(made), f"shop:{version}")
    return f"shop:{version}"

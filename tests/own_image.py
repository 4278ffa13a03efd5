"""The example apps that are not ours (docs/examples): their images, built once for each version of them."""

from pathlib import Path

from lab.images.bases import Kind
from lab.images.context import digest, pack
from lab.images.ensure import ensure_base
from lab.images.host import this_host
from lab.images.store import Store

SHOP = Path(__file__).resolve().parents[1] / "docs" / "examples" / "shop"


def build(folder: Path, name: str, version: str) -> str:
    """As `docker build -t NAME:VERSION --build-arg VERSION=VERSION`, on the lab's own base image. Return the tag."""
    files = {one: (folder / one).read_bytes() for one in ("Dockerfile", "requirements.txt", f"{name}.py")}
    base, network = ensure_base(Kind.PYTHON), this_host()
    with Store.open() as store:
        made = f"{name}-of-tests:{digest(pack(files), store.fingerprint(base), version)}"
        if not store.has(made):
            context = pack({**files, "authorities.pem": network.authorities})
            store.build(context, made, {**network.arguments, "BASE": base, "VERSION": version}, network.mode)
        store.tag(store.image_id(made), f"{name}:{version}")
    return f"{name}:{version}"

"""Which version is asked for: one that the manifest names, or an image. Refused before anything is touched."""

from lab import images
from lab.assembly import Lab
from lab.errors import LabError, UsageError
from lab.image_versions import beside, reference_of, version_of
from lab.manifest import Version


def check_version(lab: Lab, name: str | None, image: str | None) -> None:
    """Refuse what cannot be meant, before any engine is asked."""
    if name is not None and image is not None:
        what = f"{name} and --image {image} are two ways to say one thing"
        raise UsageError(id="version", what=what, fix=f"lab roll {name}, or lab roll --image {image}")
    if name is not None and (lab.manifest.versions or not lab.manifest.around.own):
        lab.manifest.version(name)


def version_asked(lab: Lab, name: str | None, image: str | None) -> Version:
    """`name` is one of the manifest's; where that names none, a tag of its image. LabError `image-missing`."""
    manifest = lab.manifest
    if image is not None:
        return _of_image(lab, image)
    if name is not None and (manifest.versions or not manifest.around.own):
        return manifest.version(name)
    if name is None and manifest.versions:
        return next(iter(manifest.versions.values()))
    return _of_image(lab, _image_of_service(lab) if name is None else beside(_image_of_service(lab), name))


def refuse_missing_images(lab: Lab) -> None:
    """Of the services that Compose starts: it would find out when half of them run."""
    if not lab.manifest.around.own:
        return
    given = lab.compose(None).images()
    first = (lab.manifest.service,) if lab.history().current is None else ()
    for service in (*first, *lab.manifest.around.statics):
        image = given.get(service)
        if image is None:
            raise LabError(
                id="no-image-name",
                what=f"services.{service} has no image: it is only built, and nothing says what its image is called",
                where=str(lab.manifest.path),
                fix=f"name it, image: {service}:1.0, and build it: docker build -t {service}:1.0 .",
            )
        if image != "-":  # the lab's own
            _refuse_missing(image)


def _of_image(lab: Lab, text: str) -> Version:
    _refuse_missing(reference_of(text))
    image_id = lab.host.image_id(reference_of(text))
    return version_of(text, image_id, lab.history().revisions.values())


def _image_of_service(lab: Lab) -> str:
    image = lab.manifest.image or ""
    return str(lab.compose(None).images()[lab.manifest.service]) if "$" in image else image


def _refuse_missing(image: str) -> None:
    if why := images.obtain(reference_of(image)):
        raise LabError(
            id="image-missing",
            what=f"there is no image {image}: {why}",
            fix=f"docker build -t {image} ., or docker load; docker images shows what there is",
        )

"""A version becomes a revision: Compose says what its container is, and the journal keeps that."""

from dataclasses import asdict

from lab.assembly import Lab
from lab.compose import Flavour
from lab.docker_client import LABEL
from lab.errors import LabError
from lab.images import Images
from lab.manifest import Version, bad_key
from lab.model import Revision
from lab.replica_spec import attached, conceal, first_check
from lab.rolled_keys import refuse_made
from lab.sections import BadKeyError


def ensure_revision(lab: Lab, version: Version, images: Images, *, replicas: int) -> Revision:
    """Return the revision of that version with exactly this image and environment, recorded now if it is new.

    EngineError `image-missing` before Compose is asked, which would look for the image in a registry.
    """
    if version.image:
        lab.host.image_id(version.image)
    spec, image_id = _spec_of(lab, version, images, replicas)
    known = lab.history().revisions
    for revision in sorted(known.values(), key=lambda r: -r.number):
        if (revision.version, revision.image_id, revision.spec) == (version.name, image_id, spec):
            return revision
    made = Revision(
        number=max(known, default=0) + 1,
        version=version.name,
        serves_as=version.serves_as,
        image_id=image_id,
        spec=spec,
    )
    lab.journal.append("revision-recorded", "", 0, asdict(made))
    return made


def refuse_late_check(revision: Revision, ready_timeout: float) -> None:
    """LabError `plan-refused` where Docker asks no replica of it in time, so that none could ever join."""
    first = first_check(revision.spec)
    if first is not None and first >= ready_timeout:
        raise LabError(
            id="plan-refused",
            what=f"the healthcheck of {revision.version} is first asked {first:g}s after a replica's start, "
            f"and a replica has {ready_timeout:g}s to become ready",
            fix="a shorter interval in the healthcheck (1s, with a start_period), or a longer x-lab.ready_timeout",
        )


def _spec_of(lab: Lab, version: Version, images: Images, replicas: int) -> tuple[str, str]:
    compose, service = lab.compose(images), lab.manifest.service
    override = compose.write_override(service, version, replicas=replicas)
    compose.make_template(service, existing=lab.host.count(service), override=override)
    template = lab.host.take_template(service)
    if compose.flavour is Flavour.V1 and lab.manifest.networked:
        template = attached(template, compose.networks(service, override))
    try:
        refuse_made(service, template)
    except BadKeyError as error:
        raise bad_key(lab.manifest.path, error) from error
    template["Labels"] = {
        **template["Labels"],
        "com.docker.compose.project.config_files": str(lab.manifest.path),
        LABEL + "stop-grace": f"{lab.manifest.stop_grace:g}",
    }
    template["Labels"].pop("com.docker.compose.container-number", None)
    template["Labels"].pop("com.docker.compose.replace", None)
    return conceal(template, asdict(lab.secrets)), lab.host.image_id(template["Image"])

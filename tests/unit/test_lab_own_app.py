"""A Compose file that is not the lab's: what is read of it, what the lab adds, and how an image becomes a version."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.assembly import Lab
from lab.chosen import Chosen, chosen_of, forget, remember
from lab.compose import write_added
from lab.errors import LabError
from lab.image_versions import beside, reference_of, version_of
from lab.load_choice import LoadChoice
from lab.manifest import Manifest, Said, read_manifest
from lab.model import Revision
from lab.operations.config import Asked, effective
from lab.operations.simulate import Question, plan
from lab.project import project_at
from lab.settings import Origin
from lab.shape import Shape
from lab.surroundings import Brought, Until

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "docs/examples/shop/compose.yaml"
SAID = Said(service="web", readiness="/health", port=8000)
ID, OTHER = "sha256:" + "a1" * 32, "sha256:" + "b2" * 32


def read(folder: Path, text: str, said: Said = SAID) -> Manifest:
    path = folder / "compose.yaml"
    path.write_text(text)
    return read_manifest(path, said)


def test_a_plain_compose_file_is_rolled_with_what_the_flags_say() -> None:
    manifest = read_manifest(SHOP, SAID)

    assert (manifest.service, manifest.image, manifest.replicas) == ("web", "shop:1.0", 3)
    assert (manifest.readiness.path, manifest.readiness.port) == ("/health", 8000)
    assert manifest.readiness.identity is False
    assert manifest.load.choice.paths == "/"
    assert manifest.around.statics == ("stock", "proxy")
    assert manifest.around.waits == {"stock": Until.HEALTHY}
    assert manifest.around.own
    assert (manifest.around.has_database, manifest.around.has_ledger) == (False, False)


def test_the_shipped_manifest_brings_everything_of_the_lab_s() -> None:
    around = read_manifest(ROOT / "compose/lab.yaml").around

    assert around.brought == frozenset(Brought)
    assert around.statics == ("db", "proxy")
    assert not around.own


@pytest.mark.parametrize(
    ("text", "said", "told"),
    [
        ("services: {web: {image: shop}}", Said(), "one service must carry x-lab, found 0"),
        ("services: {web: {image: shop}}", Said(service="api"), "it has no service api; it has web"),
        (
            "services: {web: {image: shop}}",
            Said(service="web"),
            "nothing says where a replica answers that it is ready",
        ),
        ("services: {web: {build: .}}", SAID, "the service no image whose tags could be versions"),
        ("services: {web: {image: shop}, proxy: {image: nginx}}", SAID, "services.proxy: the lab's own proxy"),
        (
            "services: {web: {image: shop, x-lab: {schema: {plan: p.toml}}}}",
            SAID,
            "x-lab.schema.plan: it is for the lab's own database",
        ),
        ("services: {web: {image: shop, x-lab: {load: {paths: /}}}}", SAID, "'/' is not a list of paths"),
    ],
)
def test_what_cannot_be_rolled_is_told(tmp_path: Path, text: str, said: Said, told: str) -> None:
    with pytest.raises(LabError) as caught:
        read(tmp_path, text, said)

    assert told in caught.value.what
    assert caught.value.exit_code == 3


def test_flags_count_before_x_lab_and_x_lab_is_enough_without_them(tmp_path: Path) -> None:
    text = "services: {web: {image: shop, x-lab: {readiness: {path: /a, port: 1}, load: {paths: [/b]}}}}"

    assert read(tmp_path, text, Said()).readiness.path == "/a"
    flagged = read(tmp_path, text, Said(readiness="/c", port=2, paths=("/d",)))
    assert (flagged.readiness.path, flagged.readiness.port, flagged.load.choice.paths) == ("/c", 2, "/d")


def test_the_proxy_that_the_lab_adds_is_the_one_it_ships() -> None:
    added, shipped = (yaml.safe_load((ROOT / "compose" / name).read_text()) for name in ("proxy.yaml", "lab.yaml"))

    assert added["services"] == {"proxy": shipped["services"]["proxy"]}
    assert added["volumes"].items() <= shipped["volumes"].items()


def test_the_proxy_stands_on_every_network_of_the_rolled_service_and_speaks_its_compose_version(tmp_path: Path) -> None:
    manifest = read(tmp_path, 'version: "3.8"\nservices: {web: {image: shop, networks: [back, default]}}')

    added = additions(manifest, tmp_path / "made")
    assert added["services"]["proxy"]["networks"] == ["default", "back"]
    assert added["version"] == "3.8"


def additions(manifest: Manifest, folder: Path, owner: str | None = None) -> Any:
    path = write_added(manifest.path, manifest.around, folder, shipped=ROOT / "compose/proxy.yaml", owner=owner)
    return yaml.safe_load(path.read_text()) if path else None


def test_the_shipped_manifest_needs_nothing_beside_it_but_an_owner_s_label_on_everything(tmp_path: Path) -> None:
    shipped = read_manifest(ROOT / "compose/lab.yaml")
    assert additions(shipped, tmp_path) is None

    label = {"labels": {"rollinglab.owner": "h/b/1/2"}}
    assert additions(shipped, tmp_path, "h/b/1/2") == {
        "services": {"db": label, "proxy": label},
        "volumes": {"db": label, "state": label, "runs": label},
        "networks": {"default": label},
    }


def test_what_compose_does_not_make_is_nobody_s(tmp_path: Path) -> None:
    manifest = read(tmp_path, "services: {web: {image: shop}}\nnetworks: {old: {external: true}, back: }")

    assert set(additions(manifest, tmp_path / "made", "h/b/1/2")["networks"]) == {"default", "back"}


def revision(version: str, image_id: str) -> Revision:
    return Revision(number=1, version=version, serves_as=version, image_id=image_id, spec="{}")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shop:2.0", "2.0"),
        ("registry:5000/team/shop:2.0", "2.0"),
        ("shop", "a1a1a1a1a1a1"),
        ("registry:5000/shop", "a1a1a1a1a1a1"),
        ("shop:latest", "a1a1a1a1a1a1"),
        (ID, "a1a1a1a1a1a1"),
        ("a1" * 6, "a1a1a1a1a1a1"),
        (f"shop@{ID}", "a1a1a1a1a1a1"),
        ("shop:_odd", "a1a1a1a1a1a1"),
    ],
)
def test_a_tag_is_the_version_s_name_and_the_image_s_id_where_a_tag_tells_nothing(text: str, name: str) -> None:
    made = version_of(text, ID, [])

    assert (made.name, made.image, dict(made.environment)) == (name, text, {})


def test_a_tag_that_was_moved_is_another_version() -> None:
    assert version_of("shop:2.0", ID, [revision("2.0", ID)]).name == "2.0"
    assert version_of("shop:2.0", ID, [revision("2.0", OTHER)]).name == "2.0-a1a1a1a"


def test_a_reference_without_a_tag_means_the_latest_and_a_tag_alone_means_the_same_repository() -> None:
    assert [reference_of(text) for text in ("shop", "r:5/shop", "shop:1", ID)] == [
        "shop:latest",
        "r:5/shop:latest",
        "shop:1",
        ID,
    ]
    assert [beside(text, "2") for text in ("shop:1", "shop", "r:5/t/shop:1", "r:5/shop", f"shop@{ID}")] == [
        "shop:2",
        "shop:2",
        "r:5/t/shop:2",
        "r:5/shop:2",
        "shop:2",
    ]


def test_a_project_remembers_its_manifest_until_it_is_forgotten(tmp_path: Path) -> None:
    project = project_at(tmp_path, "p")
    shipped = Chosen(path=project.manifest, said=Said())
    assert chosen_of(project) == shipped

    mine = Chosen(path=tmp_path / "c.yaml", said=Said(service="web", readiness="/h", port=1, paths=("/", "/a")))
    project.folder.mkdir(parents=True)
    remember(project, mine)
    assert chosen_of(project) == mine
    forget(project)
    assert chosen_of(project) == shipped


@pytest.mark.parametrize("garbled", ["", "[]", "{}", '{"file": 5}', '{"file": "x", "said": {"servise": "web"}}'])
def test_a_garbled_record_is_told_with_its_place(tmp_path: Path, garbled: str) -> None:
    project = project_at(tmp_path, "p")
    project.folder.mkdir(parents=True)
    (project.folder / "manifest.json").write_text(garbled)

    with pytest.raises(LabError) as caught:
        chosen_of(project)
    assert caught.value.id == "state-unreadable"
    assert caught.value.where.endswith("manifest.json")


def test_config_tells_what_lab_up_was_told(tmp_path: Path) -> None:
    project = project_at(tmp_path, "p")
    lab = Lab(project=project, asked=Chosen(path=SHOP, said=SAID))
    nothing = Asked(shape=Shape(), shape_by={}, load=LoadChoice(), load_by={})

    told = {setting.name: setting for setting in effective(lab, nothing, {})}
    for name, value in {"service": "web", "readiness.path": "/health", "readiness.port": "8000"}.items():
        assert (told[name].value, told[name].origin, told[name].where) == (value, Origin.JOURNAL, "manifest.json")
    assert told["manifest"].value.endswith("docs/examples/shop/compose.yaml")
    assert told["readiness.passes"].origin is Origin.DEFAULT


def test_a_tag_can_be_planned_without_an_engine_that_knows_it(tmp_path: Path) -> None:
    lab = Lab(project=project_at(tmp_path, "p"), asked=Chosen(path=SHOP, said=SAID))

    made = plan(lab, Question(version="2.0", shape=Shape(), source="1.0"))

    assert (made.to_json()["source"], made.to_json()["target"]) == ("1.0", "2.0")

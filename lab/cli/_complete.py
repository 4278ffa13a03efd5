"""What a shell completes: names out of files. Asks no engine, and says nothing where a file cannot be read."""

from contextlib import suppress

from lab.errors import LabError


def version_names(incomplete: str) -> list[str]:
    """The versions of the manifest."""
    from lab.manifest import read_manifest
    from lab.project import checkout, project_at

    with suppress(LabError):
        manifest = read_manifest(project_at(checkout(), "default").manifest)
        return [name for name in manifest.versions if name.startswith(incomplete)]
    return []


def run_names(incomplete: str) -> list[str]:
    """The runs of the project that the environment names, the newest first."""
    import os

    from lab.project import checkout, project_at

    with suppress(LabError, OSError):
        runs = project_at(checkout(), os.environ.get("LAB_PROJECT", "default")).runs
        return sorted((path.name for path in runs.iterdir() if path.name.startswith(incomplete)), reverse=True)
    return []

"""Checks the manifests against the schemas of Kubernetes, offline: `python -m ops.manifests k8s/…`."""

import sys
from pathlib import Path

import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs]

from ops.kustomize import Json, Wrong, build, identity

VERSIONS = ("1.33", "1.37")
"""The oldest and the newest Kubernetes that the manifests are for."""


def problems(folder: Path) -> list[str]:
    """What is wrong with the documents that a folder builds, a line each."""
    try:
        documents = build(folder)
    except Wrong as wrong:
        return [str(wrong)]
    return [problem for document in documents for problem in _problems(document, folder)]


def _problems(document: Json, folder: Path) -> list[str]:
    found: list[str] = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            found.append(f"{folder}: {' '.join(identity(document)[1:])} ({version}): {path}: {error.message}")
    return found


def main(*folders: str) -> int:
    found = [problem for folder in folders for problem in problems(Path(folder))]
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    if not found:
        sys.stdout.write(f"{len(folders)} kustomizations are valid for Kubernetes {' to '.join(VERSIONS)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

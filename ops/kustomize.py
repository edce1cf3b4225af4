"""As much of `kustomize build` as the files in k8s/ use, so that they are checked where it cannot be had.

It refuses what it does not know instead of passing over it: unknown fields, files that are missing, patches
and generators that meet nothing, images that nothing runs.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import yaml

Json = dict[str, Any]

KNOWN = {
    "apiVersion",
    "kind",
    "namespace",
    "labels",
    "resources",
    "configMapGenerator",
    "patches",
    "images",
}
CLUSTER_WIDE = {"Namespace"}
MERGED = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "topologySpreadConstraints": "topologyKey",
}
"""Lists of which a patch changes parts, and by what Kubernetes tells these apart."""
WHOLE = {"metrics", "rules", "tls", "args", "command", "hosts"}
"""Lists that a patch replaces."""


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Wrong(Exception):
    """A kustomization that cannot be built."""


def build(folder: Path) -> list[Json]:
    """The documents that `kubectl apply -k folder` would apply; names of generated ones carry no hash."""
    file = folder / "kustomization.yaml"
    wanted = _one(file)
    if unknown := set(wanted) - KNOWN:
        raise Wrong(f"{file}: {', '.join(sorted(unknown))} is not known here")
    documents = [document for name in wanted.get("resources", []) for document in _resource(folder, name)]
    for generator in wanted.get("configMapGenerator", []):
        _generate(documents, generator, folder)
    for patch in wanted.get("patches", []):
        if set(patch) != {"path"}:
            raise Wrong(f"{file}: only patches by path are known here")
        for change in documents_in(folder / patch["path"]):
            _patch(_meant_by(documents, change, folder / patch["path"]), change)
    for image in wanted.get("images", []):
        _rename_image(documents, image, file)
    for document in documents:
        _mark(document, wanted)
    _refuse_twins(documents, file)
    return documents


def documents_in(file: Path) -> list[Json]:
    """Every document of a file."""
    try:
        return [document for document in yaml.load_all(file.read_text(), LOADER) if document is not None]
    except (OSError, yaml.YAMLError) as error:
        raise Wrong(f"{file}: {error}") from error


def identity(document: Json) -> tuple[str, str, str]:
    return document["apiVersion"], document["kind"], document["metadata"]["name"]


def containers(document: Json) -> Iterator[Json]:
    """Every container that a document runs."""
    spec: Json = document.get("spec", {}).get("template", {}).get("spec", {})
    yield from spec.get("initContainers", [])
    yield from spec.get("containers", [])


def _one(file: Path) -> Json:
    found = documents_in(file)
    if len(found) != 1:
        raise Wrong(f"{file}: one document is wanted")
    return found[0]


def _resource(folder: Path, name: str) -> list[Json]:
    path = folder / name
    return build(path.resolve()) if path.is_dir() else documents_in(path)


def _generate(documents: list[Json], generator: Json, folder: Path) -> None:
    if unknown := set(generator) - {"name", "behavior", "envs", "literals"}:
        raise Wrong(f"{folder}: {', '.join(sorted(unknown))} of a generator is not known here")
    lines = [line for name in generator.get("envs", []) for line in _lines(folder / name)]
    lines += generator.get("literals", [])
    data = dict(_pair(line, folder) for line in lines)
    new: Json = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": generator["name"]},
        "data": data,
    }
    if generator.get("behavior", "create") == "create":
        documents.append(new)
    else:
        _meant_by(documents, new, folder)["data"].update(data)


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise Wrong(f"{file}: {error}") from error
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _pair(line: str, where: Path) -> tuple[str, str]:
    name, equals, value = line.partition("=")
    if not equals:
        raise Wrong(f"{where}: {line!r} sets nothing")
    return name, value


def _meant_by(documents: Iterable[Json], change: Json, where: Path) -> Json:
    for document in documents:
        if identity(document) == identity(change):
            return document
    raise Wrong(f"{where}: there is no {' '.join(identity(change)[1:])} to change")


def _patch(target: Json, change: Json) -> None:
    """Merge as Kubernetes does: objects by field, some lists by key, other lists as a whole."""
    for field, value in change.items():
        old: Any = target.get(field)
        if field.startswith("$") or (isinstance(value, list) and field not in MERGED.keys() | WHOLE):
            raise Wrong(f"{field} in a patch is not known here")
        if isinstance(value, dict) and isinstance(old, dict):
            _patch(cast("Json", old), cast("Json", value))
        elif isinstance(value, list) and isinstance(old, list) and field in MERGED:
            _patch_list(cast("list[Json]", old), cast("list[Json]", value), MERGED[field])
        else:
            target[field] = deepcopy(cast("Any", value))


def _patch_list(target: list[Json], changes: list[Json], key: str) -> None:
    for change in changes:
        old = next((item for item in target if item[key] == change[key]), None)
        if old is None:
            target.append(deepcopy(change))
        else:
            _patch(old, change)


def _rename_image(documents: list[Json], image: Json, file: Path) -> None:
    met = False
    for document in documents:
        for container in containers(document):
            name, _, tag = container["image"].partition(":")
            if name == image["name"]:
                met = True
                container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"
    if not met:
        raise Wrong(f"{file}: nothing runs the image {image['name']}")


def _mark(document: Json, wanted: Json) -> None:
    """Its namespace and its labels."""
    metadata: Json = document["metadata"]
    if "namespace" in wanted and document["kind"] not in CLUSTER_WIDE:
        metadata["namespace"] = wanted["namespace"]
    for label in wanted.get("labels", []):
        metadata.setdefault("labels", {}).update(label["pairs"])


def _refuse_twins(documents: list[Json], file: Path) -> None:
    seen: set[tuple[str, str, str]] = set()
    for document in documents:
        if identity(document) in seen:
            raise Wrong(f"{file}: there are two of {' '.join(identity(document)[1:])}")
        seen.add(identity(document))

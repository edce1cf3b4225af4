"""The providers that the settings ask for. Their keys are read once, here; a bad one stops the start."""

import json
import ssl
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from common.push_settings import Apns, Fcm, Push
from realtime.features.push import Providers
from realtime.features.push.schemas import Platform
from realtime.features.push.schemas import Push as Port
from realtime.push_providers.apple import PRODUCTION, SANDBOX, ApplePush, TeamKey
from realtime.push_providers.firebase import FirebasePush, ServiceAccount
from realtime.push_providers.http import Http
from realtime.push_providers.web import BrowserPush, Vapid


class BadPushKey(ValueError):
    """A file named in the settings that is not what it should be."""


def configured(settings: Push) -> Providers:
    """A provider for each platform that is set up; raises `BadPushKey`. Nothing is connected yet."""
    pushes: dict[Platform, Port] = {}
    web_key = None
    if settings.apns.key is not None:
        pushes["ios"] = _apple(settings.apns, settings.apns.key, _trusting(settings))
    if settings.fcm.credentials is not None:
        pushes["android"] = _firebase(settings, settings.fcm, settings.fcm.credentials)
    if settings.web.key is not None:
        vapid = Vapid(_p256(settings.web.key), settings.web.contact)
        pushes["web"] = _browsers(settings, vapid)
        web_key = vapid.public_key
    return Providers(pushes, web_key)


def _apple(apns: Apns, key: Path, context: ssl.SSLContext) -> ApplePush:
    url = apns.url or (SANDBOX if apns.sandbox else PRODUCTION)
    return ApplePush(TeamKey(_p256(key), apns.key_id, apns.team_id), apns.topic, url, context)


def _firebase(settings: Push, fcm: Fcm, file: Path) -> FirebasePush:
    return FirebasePush(_service_account(file), fcm.url, Http(_trusting(settings), settings.at_once))


def _browsers(settings: Push, vapid: Vapid) -> BrowserPush:
    web = settings.web
    http = Http(_trusting(settings), settings.at_once, public_only=not web.private_addresses)
    return BrowserPush(vapid, web.allowed_hosts, http, any_port=web.private_addresses)


def _trusting(settings: Push) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca)
    except OSError as error:  # SSLError is one
        raise BadPushKey(f"{settings.ca} holds no certificates") from error


def _p256(file: Path) -> EllipticCurvePrivateKey:
    key = _private_key(file, _content(file))
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise BadPushKey(f"{file} holds no P-256 key")
    return key


def _service_account(file: Path) -> ServiceAccount:
    content = _content(file)
    try:
        found: dict[str, Any] = json.loads(content)
        names = ("client_email", "private_key", "private_key_id", "project_id", "token_uri")
        email, pem, key_id, project, token_uri = (str(found[name]) for name in names)
    except (ValueError, KeyError, TypeError) as error:
        raise BadPushKey(f"{file} is no file of a service account") from error
    key = _private_key(file, pem.encode())
    if not isinstance(key, RSAPrivateKey) or not token_uri.startswith(("https://", "http://")):
        raise BadPushKey(f"{file} is no file of a service account")
    return ServiceAccount(email, key, key_id, project, token_uri)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadPushKey(f"{file} cannot be read") from error


def _private_key(file: Path, pem: bytes) -> object:
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise BadPushKey(f"{file} holds no private key") from None

"""The OpenAPI document and its page: nothing undocumented, nothing from elsewhere."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from common.errors import all_codes
from rest.app import all_routes
from rest.docs import write_docs
from rest.operations import operation_of
from tests.clients import Http, Person
from tests.conftest import MakeSettings, Node, StartNode

OPERATOR = "the operator's own token, long enough"
PAGES = ["/docs", "/docs/realtime", "/docs/openapi.json", "/docs/asyncapi.json", "/docs/assets/style.css"]


@pytest.fixture
async def http(plaza: Node) -> AsyncIterator[Http]:
    async with Http(plaza.url) as client:
        yield client


@pytest.fixture
async def document(http: Http) -> Any:
    return (await http.get("/docs/openapi.json")).body


def _name(route: web.RouteDef) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", all_routes(), ids=_name)
def test_every_route_says_what_it_is(route: web.RouteDef) -> None:
    operation = operation_of(route.handler)

    assert operation is not None, "no @docs"
    assert operation.summary
    assert operation.tags
    assert operation.description, "no docstring"
    assert operation.answers, "no @response_schema"
    if route.method in ("GET", "DELETE"):
        assert operation.body is None


async def test_the_document_is_valid_and_complete(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()

    assert document["openapi"] == "3.1.0"
    described = sum(len(operations) for operations in document["paths"].values())
    assert described == len(all_routes())


async def test_every_operation_documents_its_refusals(document: Any) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            expected = {"400", "404", "409", "422", "429", "431", "500", "503"}
            if operation["security"] == [{"bearer": []}]:
                expected |= {"401", "403"}
            if "requestBody" in operation:
                expected |= {"408", "413", "415"}
                assert operation["requestBody"]["required"] is True
            assert expected <= set(operation["responses"]), f"{method} {path}"


async def test_ids_in_paths_are_uuids(document: Any) -> None:
    parameters = document["paths"]["/api/users/{userId}"]["get"]["parameters"]

    assert parameters == [
        {"name": "userId", "in": "path", "required": True, "schema": parameters[0]["schema"]}
    ]
    assert parameters[0]["schema"]["format"] == "uuid"


async def test_lists_document_their_pagination(document: Any) -> None:
    operation = document["paths"]["/api/messages/conversations"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]

    assert {"success", "data", "message", "pagination"} == set(schema["properties"])
    limit = next(one for one in operation["parameters"] if one["name"] == "limit")
    assert (limit["schema"]["maximum"], limit["schema"]["default"]) == (100, 20)


async def test_every_error_code_is_listed_with_the_status_it_comes_with(http: Http, document: Any) -> None:
    page = (await http.get("/docs/realtime")).body
    responses = " ".join(one["description"] for one in document["components"]["responses"].values())
    said = {400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 431, 500, 503}

    for code, kind in all_codes().items():
        assert f'id="error-{code}"' in page
        if kind.status in said:
            assert f"`{code}`" in responses


def test_error_codes_are_snake_case_and_mean_one_status() -> None:
    for code, kind in all_codes().items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", code), code
        assert 400 <= kind.status < 600
        assert kind.text


# -- the pages


@pytest.mark.parametrize("page", ["/docs", "/docs/realtime"])
async def test_the_pages_need_nothing_from_elsewhere(http: Http, page: str) -> None:
    reply = await http.get(page)

    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    needed = re.findall(r'(?:src|href)="([^"#]+)', reply.body)
    assert needed
    for address in needed:
        assert address.startswith("/docs")
        assert (await http.ask("HEAD", address)).status == 200, address
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "<script>" not in reply.body


async def test_the_swagger_page_asks_no_validator(http: Http) -> None:
    assert "validatorUrl: null" in (await http.get("/docs/assets/start.js")).body


@pytest.mark.parametrize("name", ["..%2f__init__.py", "swagger-ui.js", "LICENSE", "start.js%00", "%2e%2e%2f"])
async def test_only_the_files_of_the_pages_are_served(http: Http, name: str) -> None:
    assert (await http.get(f"/docs/assets/{name}")).status == 404


async def test_in_production_the_pages_are_for_the_operator(
    start_node: StartNode, make_settings: MakeSettings, ann: Person
) -> None:
    production = {"environment": "production", "accounts": {"bcrypt_cost": 12}}
    node = await start_node(make_settings(**production, metrics_token=OPERATOR))

    for page in PAGES:
        for token in (None, "wrong", ann.token):
            assert (await Http(node.url, token).get(page)).code == "not_found", page
        assert (await Http(node.url, OPERATOR).get(page)).status == 200, page


async def test_a_setting_opens_the_pages_in_production(
    start_node: StartNode, make_settings: MakeSettings
) -> None:
    production = {"environment": "production", "accounts": {"bcrypt_cost": 12}}
    node = await start_node(make_settings(**production, public_docs=True))

    for page in PAGES:
        assert (await Http(node.url).get(page)).status == 200, page


# -- files


def test_the_documents_are_written_without_starting_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    write_docs(tmp_path / "docs")

    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "docs").iterdir()}
    assert set(written) == {"openapi.json", "asyncapi.json", "policy.md"}
    assert json.loads(written["openapi.json"]) == document

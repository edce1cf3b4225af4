# apispec names its arguments `dict` without saying of what.
# pyright: reportUnknownMemberType=false
"""The OpenAPI side of routes: decorators, checked input, and the document made from them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_origin

from aiohttp import web
from apispec import APISpec
from pydantic import BaseModel

from common.ids import UUID_PATTERN
from rest.operations import (
    Answer,
    Operation,
    docs,
    json_schema,
    operation_of,
    querystring_schema,
    response_schema,
)
from rest.problems import ERROR_SCHEMAS, PROBLEMS, problem_responses
from rest.reply import PageQuery, Pagination
from rest.schemas import Schemas
from rest.validation import FORM, body, is_facade, query, validation_middleware

__all__ = [
    "body",
    "build_openapi",
    "docs",
    "json_schema",
    "query",
    "querystring_schema",
    "response_schema",
    "validation_middleware",
]

Json = dict[str, Any]

JSON_TYPE = "application/json"
_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]*)?\}")
_ABOUT = """Every answer is `{"success": true, "data": …, "message": …}`, every refusal the object `Error`,
whose `code` is stable. The same object is the `error` of a Socket.IO acknowledgement.

Events are described at [/docs/realtime](/docs/realtime), which also lists every error code."""


def build_openapi(routes: Iterable[web.RouteDef], version: str) -> Json:
    """The OpenAPI 3.1 document of all routes that say what they are."""
    found = [(route, op) for route in routes if (op := operation_of(route.handler)) is not None]
    schemas = _schemas([operation for _, operation in found])
    spec = APISpec(
        title="Plaza",
        version=version,
        openapi_version="3.1.0",
        info={"description": _ABOUT},
        servers=[{"url": "/"}],
        tags=[{"name": tag} for tag in sorted({tag for _, op in found for tag in op.tags})],
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    for name, schema in {**schemas.definitions, **ERROR_SCHEMAS}.items():
        spec.components.schema(name, component=schema)
    for name, response in problem_responses().items():
        spec.components.response(name, response)
    paths: dict[str, Json] = {}
    for route, operation in found:
        path = _template(route.path, paths)
        paths.setdefault(path, {})[route.method.lower()] = _describe(route, path, operation, schemas)
    for path, operations in paths.items():
        spec.path(path, operations=operations)
    return spec.to_dict()


def _schemas(operations: Sequence[Operation]) -> Schemas:
    inputs = [model for op in operations for model in (op.body, op.query) if model is not None]
    answers = [answer for op in operations for answer in op.answers.values()]
    return Schemas(inputs, [Pagination, *(shape for one in answers for shape in (one.shape, one.top))])


# -- operations


def _template(path: str, known: Mapping[str, Json]) -> str:
    """The path as OpenAPI writes it; two that differ only in the names of parameters are one."""
    plain = _PARAMETER.sub(r"{\1}", path.rstrip("/") or "/")
    shape = _PARAMETER.sub("{}", plain)
    return next((other for other in known if _PARAMETER.sub("{}", other) == shape), plain)


def _describe(route: web.RouteDef, path: str, operation: Operation, schemas: Schemas) -> Json:
    described: Json = {
        "tags": operation.tags,
        "summary": operation.summary,
        "description": operation.description,
        "operationId": _operation_id(route),
        "parameters": [*_path_parameters(path), *_query_parameters(operation, schemas)],
        "responses": _responses(path, operation, schemas),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _body_content(operation.body, schemas)}
    described["security"] = [{}] if operation.public else [{"bearer": []}]
    described["x-policy"] = operation.verb
    return described


def _operation_id(route: web.RouteDef) -> str:
    module = str(getattr(route.handler, "__module__", "")).rpartition(".")[2]
    return f"{module}.{getattr(route.handler, '__name__', route.path)}"


def _path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in _PARAMETER.findall(path)
    ]


def _path_schema(name: str) -> Json:
    """Parameters that are called ids are ids."""
    if name == "id" or name.endswith(("Id", "_id")):
        return {"type": "string", "format": "uuid", "pattern": UUID_PATTERN}
    return {"type": "string"}


def _query_parameters(operation: Operation, schemas: Schemas) -> list[Json]:
    if operation.query is None:
        return []
    schema = schemas.resolved(schemas.input(operation.query))
    required = schema.get("required", [])
    properties: dict[str, Json] = schema.get("properties", {})
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _present(field)}
        for name, field in properties.items()
    ]


def _present(schema: Json) -> Json:
    """A parameter's schema when it is given: an address has no way to write null."""
    choices: list[Json] = schema.get("anyOf", [])
    plain = [choice for choice in choices if choice != {"type": "null"}]
    if len(plain) != 1 or len(plain) == len(choices):
        return schema
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return {**rest, **plain[0]}


def _body_content(model: type[BaseModel], schemas: Schemas) -> Json:
    content = {JSON_TYPE: {"schema": schemas.input(model)}}
    return {**content, FORM: content[JSON_TYPE]} if is_facade(model) else content


def _responses(path: str, operation: Operation, schemas: Schemas) -> Json:
    answers = {
        str(status): {"description": answer.description, "content": _content(operation, answer, schemas)}
        for status, answer in sorted(operation.answers.items())
    }
    statuses = {400, 404, 409, 422, 429, 431, 500, 503}
    if not operation.public:
        statuses |= {401, 403}
    if operation.body is not None:
        statuses |= {401, 403, 408, 413, 415}
    problems = {
        str(status): {"$ref": f"#/components/responses/{PROBLEMS[status]}"}
        for status in sorted(statuses)
        if str(status) not in answers
    }
    return {**answers, **problems}


def _content(operation: Operation, answer: Answer, schemas: Schemas) -> Json:
    if answer.content_type != JSON_TYPE:
        kind = "object" if answer.content_type.endswith("+json") else "string"
        return {answer.content_type: {"schema": {"type": kind}}}
    return {JSON_TYPE: {"schema": _envelope(operation, answer, schemas)}}


def _envelope(operation: Operation, answer: Answer, schemas: Schemas) -> Json:
    properties: Json = {
        "success": {"const": True},
        "data": schemas.output(answer.shape),
        "message": {"type": "string"},
    }
    if _is_list(operation, answer):
        properties["pagination"] = schemas.output(Pagination)
    envelope: Json = {"type": "object", "required": list(properties), "properties": properties}
    if answer.top is None:
        return envelope
    return {"allOf": [envelope, schemas.output(answer.top)]}


def _is_list(operation: Operation, answer: Answer) -> bool:
    paged = operation.query is not None and issubclass(operation.query, PageQuery)
    return paged and get_origin(answer.shape) is list

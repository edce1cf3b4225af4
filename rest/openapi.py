"""The OpenAPI side of routes: decorators, checked input, and the document made from them."""

from rest.operations import docs, json_schema, querystring_schema, response_schema
from rest.validation import body, query, validation_middleware

__all__ = [
    "body",
    "docs",
    "json_schema",
    "query",
    "querystring_schema",
    "response_schema",
    "validation_middleware",
]

"""JSON schemas of our models for the API documents, with one name for each."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import TypeAdapter

Json = dict[str, Any]
Shape = Any
"""A model, or a type made of models."""
Mode = Literal["validation", "serialization"]

REF = "#/components/schemas/{model}"


class Schemas:
    """The schemas of the given inputs (what clients write) and outputs (what we write)."""

    def __init__(self, inputs: Iterable[Shape], outputs: Iterable[Shape]) -> None:
        wanted: dict[str, tuple[str, Mode, TypeAdapter[Any]]] = {}
        for shape in inputs:
            wanted[_key(shape, "validation")] = (_key(shape, "validation"), "validation", TypeAdapter(shape))
        for shape in filter(is_shape, outputs):
            key = _key(shape, "serialization")
            wanted[key] = (key, "serialization", TypeAdapter(shape))
        self._schemas, extra = TypeAdapter.json_schemas(wanted.values(), by_alias=True, ref_template=REF)
        self.definitions: dict[str, Json] = extra.get("$defs", {})

    def input(self, shape: Shape) -> Json:
        """How clients write it."""
        return self._schemas[(_key(shape, "validation"), "validation")]

    def output(self, shape: Shape) -> Json:
        """How we write it; `null` when there is nothing to say."""
        if not is_shape(shape):
            return {"type": "null"}
        return self._schemas[(_key(shape, "serialization"), "serialization")]

    def resolved(self, schema: Json) -> Json:
        """The schema itself, not a reference to it."""
        ref = schema.get("$ref")
        return self.definitions[ref.rpartition("/")[2]] if isinstance(ref, str) else schema


def is_shape(shape: Shape) -> bool:
    """Whether there is something to describe."""
    return shape is not None and shape is not bytes and shape is not str


def _key(shape: Shape, mode: Mode) -> str:
    name = f"{shape.__module__}.{shape.__qualname__}" if isinstance(shape, type) else repr(shape)
    return f"{name}:{mode}"

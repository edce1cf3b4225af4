"""Every kind of document says what it has to do with people, field by field."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from beanie import Document
from pydantic import BaseModel

from common.ids import Id, new_id, type_checked
from documents.database import DOCUMENTS
from documents.personal import HOLDINGS
from documents.personal.holdings import Copy, Elsewhere, Holding, Keep


def paths_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every field by its path, and whether it can hold an id: typed as one, or typed as anything."""
    for name, field in model.model_fields.items():
        if name == "revision_id":
            continue
        path = prefix + ("_id" if name == "id" and issubclass(model, Document) else name)
        yield path, type_checked in field.metadata
        yield from _inside(field.annotation, path)


def _inside(kind: Any, path: str) -> Iterator[tuple[str, bool]]:
    if kind is Any:
        yield path, True
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from paths_of(kind, f"{path}.")
    elif get_origin(kind) is Annotated:
        inner, *metadata = get_args(kind)
        yield path, type_checked in metadata
        yield from _inside(inner, path)
    elif get_origin(kind) is dict:
        key, value = get_args(kind)
        yield from _inside(key, path)
        yield from _inside(value, path if value is Any else f"{path}.*")
    else:
        for part in get_args(kind):
            yield from _inside(part, path)


def undeclared(holding: Holding) -> set[str]:
    """Fields that can hold an id, of which nobody has said whose."""
    declared = {*holding.people, *holding.others}
    return {path for path, holds_id in paths_of(holding.kind) if holds_id} - declared


def test_every_kind_of_document_is_in_the_registry_once() -> None:
    registered = [holding.kind for holding in HOLDINGS]
    assert [kind.__name__ for kind in DOCUMENTS if kind not in registered] == []
    assert len(registered) == len(set(registered))


def test_every_field_that_can_hold_an_id_is_said_to_hold_a_person_or_not() -> None:
    assert {holding.kind.__name__: found for holding in HOLDINGS if (found := undeclared(holding))} == {}


def test_the_registry_names_nothing_that_is_not_there() -> None:
    for holding in HOLDINGS:
        known = {path for path, _ in paths_of(holding.kind)}
        assert {*holding.people, *holding.others} - known == set(), holding.kind.__name__
        for copy in holding.copies:
            assert set(copy.fields) - known == set(), holding.kind.__name__


def test_what_is_kept_left_out_or_done_elsewhere_says_why() -> None:
    for holding in HOLDINGS:
        assert holding.copy, holding.kind.__name__
        for end in holding.people.values():
            if isinstance(end, Keep):
                assert end.why
            if isinstance(end, Elsewhere):
                assert end.by


def test_the_files_of_a_copy_have_names_of_their_own() -> None:
    names = [copy.file for holding in HOLDINGS for copy in holding.copies]
    assert len(names) == len(set(names))


def test_a_new_field_of_a_person_is_copied_or_hidden_on_purpose() -> None:
    for holding in HOLDINGS:
        for copy in (copy for copy in holding.copies if copy.hidden):
            known = {path for path, _ in paths_of(holding.kind) if "." not in path}
            assert known == {*copy.fields, *copy.hidden}
    assert any(copy.hidden for holding in HOLDINGS for copy in holding.copies)


class Letter(Document):
    """What a new collection may look like."""

    id: Id = new_id()  # pyright: ignore[reportIncompatibleVariableOverride]
    writer: Id
    readers: dict[str, list[Id]]
    stamp: dict[str, Any]
    text: str = ""


def test_a_field_that_nobody_has_thought_of_is_found() -> None:
    letters = Holding(Letter, {"writer": Keep("for the test")}, copy=Copy("letters", "writer"))
    assert undeclared(letters) == {"_id", "readers.*", "stamp"}

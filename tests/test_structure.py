"""The shape of the code where an import contract cannot say it."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent

SHARED = {"base", "connection", "database", "files", "rows", "streams"}
"""Document modules that are tools, not features."""
FAMILIES = {"conversations": {"conversations", "groups", "messages", "receipts"}}
"""A conversation's members and positions belong to these four; every other module has one feature."""


def document_modules(file: Path) -> set[str]:
    """The document modules that `file` imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "documents":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {name.name for name in node.names}
    return found - SHARED


def test_a_document_module_is_imported_only_by_the_feature_of_its_name() -> None:
    features = ROOT / "realtime" / "features"
    strays = [
        f"{file.relative_to(ROOT)} imports documents.{module}"
        for file in features.rglob("*.py")
        for module in document_modules(file)
        if file.relative_to(features).parts[0] not in FAMILIES.get(module, {module})
    ]
    assert strays == []


def test_every_module_says_what_lives_in_it() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for package in ("common", "documents", "media", "realtime", "rest", "loadtests", "tests")
        for file in (ROOT / package).rglob("*.py")
        if "node_modules" not in file.parts
        and file.read_text().strip()
        and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert silent == []

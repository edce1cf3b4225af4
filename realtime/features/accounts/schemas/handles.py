"""Handles: one name per person, that cannot pass for another's.

A handle is 3 to 50 letters and digits of one script, with `_`, `.` and `-` between them. Two handles are the
same when they fold to the same key, and too alike when they draw the same skeleton.
"""

import re
import unicodedata

from common.ids import is_id

SHORTEST, LONGEST = 3, 50
CHANGE_DAYS = 7
HOLD_DAYS = 14
"""For how long nobody else gets a handle that its owner has given up."""
_SEPARATORS = "_.-"
_MOST_MARKS = 4

_SAME_SCRIPT = {
    "CJK": "HAN",
    "IDEOGRAPHIC": "HAN",
    "KATAKANA-HIRAGANA": "KATAKANA",
    "ARABIC-INDIC": "ARABIC",
    "EXTENDED": "ARABIC",
}
_WRITTEN_TOGETHER = (
    frozenset({"HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"HAN", "HANGUL"}),
    frozenset({"HAN", "BOPOMOFO"}),
)
_NO_SCRIPT = frozenset({"", "MODIFIER", "COMBINING", "VARIATION"})

_TWINS = str.maketrans(
    # Letters that are drawn like a plain Latin one: Cyrillic, Greek, Armenian, then odd Latin ones.
    "аеорсхуіјѕһԁԛԝӏкαονρυικχγօսհոցզɑɩʋǀ",
    "aeopcxyijshdqwlkaovpuikxyouhngqaivl",
)
_BARE_LATIN = re.compile(r"LATIN (?:SMALL LETTER (?:SCRIPT|DOTLESS)|LETTER SMALL CAPITAL) ([A-Z])")
_ACCENTED_LATIN = re.compile(r"LATIN (?:SMALL|CAPITAL) LETTER ([A-Z]) WITH .*")

_LOOKS_LIKE = str.maketrans("013457lтмнв\u0433пи", "oieastitmhbrnn")
_RESERVED_WORDS = (
    "admin administrator sysadmin system root moderator mod staff official plaza support help security "
    "me self you everyone all here nobody anonymous unknown deleted null undefined none bot api www "
    "postmaster webmaster noreply abuse search cli"
)
RESERVED = frozenset(word.translate(_LOOKS_LIKE) for word in _RESERVED_WORDS.split())


def chosen(text: str) -> str:
    """`text` as a handle in its one normal form; raises `ValueError` saying what is wrong with it."""
    if len(text) > LONGEST * 4:
        raise ValueError(f"a handle has at most {LONGEST} characters")
    handle = unicodedata.normalize("NFKC", text)
    if not SHORTEST <= len(handle) <= LONGEST:
        raise ValueError(f"a handle has {SHORTEST} to {LONGEST} characters")
    if handle.startswith((".", "-")) or handle.endswith((".", "-")) or not handle.strip(_SEPARATORS):
        raise ValueError("a handle begins and ends with a letter, a digit or _")
    _require_one_script(handle)
    if is_id(handle.casefold()):
        raise ValueError("a handle does not look like an id")
    return handle


def is_reserved(handle: str) -> bool:
    """Whether it could be taken for us or for a part of the interface, accents and look-alikes included."""
    plain = "".join(_without_accent(char) for char in skeleton(handle) if char not in _SEPARATORS)
    return plain.translate(_LOOKS_LIKE) in RESERVED


def key(text: str) -> str:
    """What two spellings of one handle share."""
    return _folded(text)


def skeleton(text: str) -> str:
    """What two handles share that look the same."""
    plain = _folded(text).replace("i\u0307", "i").translate(_TWINS)
    return "".join(_bare(char) for char in plain)


def email_key(address: str) -> str:
    """What two spellings of one e-mail address share."""
    return _folded(address.strip())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _require_one_script(handle: str) -> None:
    scripts: set[str] = set()
    marks = 0
    for char in handle:
        if char in _SEPARATORS or char in "0123456789":
            marks = 0
            continue
        kind = unicodedata.category(char)
        marks = marks + 1 if kind in {"Mn", "Mc"} else 0
        if not (kind[0] in "LM" or kind == "Nd") or kind == "Me" or marks > _MOST_MARKS or char == "ـ":
            raise ValueError("a handle consists of letters, digits, _, . and -")
        scripts.add(_script(char))
    if scripts & _NO_SCRIPT:
        raise ValueError("a handle consists of letters, digits, _, . and -")
    if len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER):
        raise ValueError("a handle is written in one script")


def _script(char: str) -> str:
    first = unicodedata.name(char, "").partition(" ")[0]
    return _SAME_SCRIPT.get(first, first)


def _bare(char: str) -> str:
    found = None if char.isascii() else _BARE_LATIN.fullmatch(unicodedata.name(char, ""))
    return found[1].lower() if found else char


def _without_accent(char: str) -> str:
    found = None if char.isascii() else _ACCENTED_LATIN.fullmatch(unicodedata.name(char, ""))
    return found[1].lower() if found else char

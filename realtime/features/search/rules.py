"""How messages are found by parts of words: their grams, and what a query needs of them.

A message has fewer grams than a person: no beginnings, for which parts of three letters do; no pieces of
three where two will do. So a word of two letters finds just that word.
"""

from collections.abc import Iterable

from common import words

LONGEST = 2000
"""Characters of a message in which words are looked for."""
MOST = 400
"""Grams that are kept of a message."""
WORDS, GRAMS = 4, 3
"""So many words of a query, and grams of one, are looked up; all words are looked for in the message."""
_SHORT = 2


def grams_of(text: str) -> list[str]:
    """The grams of a message."""
    found: dict[str, None] = {}
    for word in dict.fromkeys(words.words_of(text[:LONGEST])):
        if words.is_dense(word):
            found.update(dict.fromkeys(word))
            found.update(dict.fromkeys(words.pieces(word, _SHORT)))
        elif len(word) == _SHORT:
            found[words.START + word] = None
        else:
            found.update(dict.fromkeys(words.pieces(word, words.PIECE)))
        if len(found) >= MOST:
            break
    return list(found)[:MOST]


def needed(query: Iterable[str]) -> list[list[str]]:
    """For the longest words: the grams of every message that holds the word; none for single letters."""
    longest = sorted(query, key=len, reverse=True)[:WORDS]
    return [grams for word in longest if (grams := _needed(word))]


def holds(text: str, query: Iterable[str]) -> bool:
    """Whether every word of a query is a part of a word of the text."""
    return words.holds(" ".join(words.words_of(text[:LONGEST])), query)


def _needed(word: str) -> list[str]:
    if words.is_dense(word):
        grams = [word] if len(word) == 1 else list(words.pieces(word, _SHORT))
    elif len(word) > _SHORT:
        grams = list(words.pieces(word, words.PIECE))
    else:
        grams = [words.START + word] if len(word) == _SHORT else []
    return grams[:: max(1, len(grams) // GRAMS)][:GRAMS]

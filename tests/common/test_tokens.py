"""Tokens: signed ones are the same for the same arguments, opaque ones say what they are and no more."""

import time

import pytest

from common.ids import new_id
from common.tokens import (
    REFRESH,
    RESET,
    AccessTokens,
    InvalidToken,
    Restoration,
    RestoreTokens,
    Subject,
    Succession,
    TokenExpired,
    WrongTokenType,
    digest,
    new_token,
    require_kind,
)

SECRET = b"a secret that only tests know, long enough"
NOW = int(time.time())


def subject(**changes: str) -> Subject:
    return Subject(**{"user_id": new_id(), "login_id": new_id(), "username": "ann", **changes})


def test_a_token_says_whom_it_was_made_out_to() -> None:
    ann = subject(email="ann@example.org")
    claims = AccessTokens(SECRET).read(AccessTokens(SECRET).issue(ann, NOW, 3600))
    assert (claims.user_id, claims.login_id, claims.expires_at) == (ann.user_id, ann.login_id, NOW + 3600)


def test_the_same_arguments_give_the_same_token() -> None:
    ann, token_id = subject(), new_id()
    tokens = AccessTokens(SECRET)
    assert tokens.issue(ann, NOW, 3600, token_id) == tokens.issue(ann, NOW, 3600, token_id)
    assert tokens.issue(ann, NOW, 3600) != tokens.issue(ann, NOW, 3600)


def test_the_longest_name_and_address_still_make_a_token_that_is_read() -> None:
    longest = subject(username="\U00020000" * 50, email="\U00020000" * 254)
    tokens = AccessTokens(SECRET)
    assert tokens.read(tokens.issue(longest, NOW, 3600)).user_id == longest.user_id


def test_a_token_runs_out_to_the_second_however_often_it_was_read_before() -> None:
    tokens = AccessTokens(SECRET)
    token = tokens.issue(subject(), int(time.time()), 1)
    tokens.read(token)
    time.sleep(1.1)
    with pytest.raises(TokenExpired):
        tokens.read(token)
    assert tokens.read(token, even_expired=True)


def test_an_expired_token_with_anything_else_wrong_is_simply_invalid() -> None:
    token = AccessTokens(b"another secret, also long enough!").issue(subject(), NOW - 3600, 60)
    with pytest.raises(InvalidToken):
        AccessTokens(SECRET).read(token)


def test_a_clock_that_is_a_little_ahead_is_forgiven() -> None:
    tokens = AccessTokens(SECRET)
    tokens.read(tokens.issue(subject(), int(time.time()) + 30, 60))
    with pytest.raises(InvalidToken):
        tokens.read(tokens.issue(subject(), int(time.time()) + 90, 60))


def test_a_short_secret_reads_nothing() -> None:
    with pytest.raises(InvalidToken):
        AccessTokens(b"short").read(AccessTokens(b"short").issue(subject(), NOW, 3600))


def test_an_opaque_token_is_good_for_one_thing() -> None:
    token = new_token(REFRESH)
    require_kind(REFRESH, token)
    with pytest.raises(WrongTokenType):
        require_kind(RESET, token)
    for nonsense in ("", "plr_", "plr_" + "x" * 42, "plr_" + "x" * 44, "xyz_" + "x" * 43, token + "\n"):
        with pytest.raises(InvalidToken):
            require_kind(REFRESH, nonsense)


def test_a_successor_is_known_only_with_the_secret() -> None:
    token = new_token(REFRESH)
    successor = Succession(SECRET).after(token)

    require_kind(REFRESH, successor)
    assert Succession(SECRET).after(token) == successor
    assert Succession(b"another secret, also long enough!").after(token) != successor
    assert Succession(SECRET).after(successor) != token
    assert digest(token) != digest(successor)


def test_a_restore_token_is_good_for_its_deletion_and_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, wanted = RestoreTokens(SECRET), Restoration(new_id(), 1_800_000_000_000)
    token = tokens.issue(wanted, 900)

    assert tokens.read(token) == wanted
    with pytest.raises(InvalidToken):
        RestoreTokens(b"another secret, also long enough!").read(token)
    with pytest.raises(InvalidToken):
        tokens.read(token.replace(str(wanted.due_ms), str(wanted.due_ms + 1)))
    later = time.time() + 901
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(InvalidToken):
        tokens.read(token)

"""What a client may say about its session."""

from datetime import UTC, datetime

from common.errors import Forbidden
from realtime.features.accounts.schemas.auth import AuthRefreshIn, AuthRefreshOut
from realtime.features.accounts.service.accounts import AccountService
from realtime.gateway.commands import command
from realtime.gateway.session import Session
from realtime.policy import Verb


class WrongAccount(Forbidden):
    code, text = "wrong_account", "This token belongs to another person or another log-in."


class AccountCommands:
    """Lets a socket live on with a newer token."""

    def __init__(self, accounts: AccountService) -> None:
        self._accounts = accounts

    @command("auth_refresh", Verb.OWN)
    async def auth_refresh(self, session: Session, body: AuthRefreshIn) -> AuthRefreshOut:
        """Go on with a newer access token of the same log-in, before the current one runs out."""
        identity = await self._accounts.authenticate(body.token)
        if (identity.user_id, identity.login_id) != (session.user_id, session.login_id):
            raise WrongAccount
        session.extend(identity)
        return AuthRefreshOut(expires_at=datetime.fromtimestamp(identity.expires_at, UTC))

"""The shapes of conversations, members and positions."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import Field, StringConstraints

from common.ids import Id
from realtime.channels import Publication, Wire
from realtime.policy import Verb

Role = Literal["owner", "admin", "member"]
ClientId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
GroupName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Person(Protocol):
    """A person as members lists show them."""

    @property
    def id(self) -> Id: ...
    @property
    def name(self) -> str: ...
    @property
    def handle(self) -> str: ...
    @property
    def avatar(self) -> str | None: ...


class Voices(Protocol):
    """Who may say something."""

    def require_voice(self, user_id: Id) -> None:
        """Raises for who is muted; from memory, for every message asks."""
        ...


class MemberOut(Wire):
    """A member with their positions: everything up to `readSeq` is read, up to `deliveredSeq` delivered."""

    user_id: Id
    name: str = ""
    handle: str = ""
    avatar: str | None = None
    role: Role
    read_seq: int
    delivered_seq: int
    joined_at: datetime


class ConversationOut(Wire):
    """A conversation as one member sees it. `unread` is `seq` less `readSeq`; 100 members are listed.

    `version` grows with every change of name, members or roles: ignore what is older than what you have.
    """

    id: Id
    kind: Literal["direct", "group"]
    name: str | None
    version: int
    members: list[MemberOut]
    member_count: int
    role: Role
    muted: bool
    seq: int
    read_seq: int
    unread: int
    created_at: datetime
    last_at: datetime


class GroupIn(Wire):
    """A new group: its name and who else is in it. With the same `clientId` again it is the same group."""

    client_id: ClientId | None = None
    name: GroupName
    member_ids: list[Id] = Field(default_factory=list[str], max_length=200)


class ConversationChange(Wire):
    """`name` is for owner and admins; `muted` is one's own."""

    name: GroupName | None = None
    muted: bool | None = None


class MemberIn(Wire):
    """Add a person, or give a member another role. The role `owner` hands the group over."""

    user_id: Id
    role: Role = "member"


class JoinIn(Wire):
    """Name the conversation, or the person of a direct one."""

    friend_id: Id | None = None
    conversation_id: Id | None = None


class JoinOut(Wire):
    """Where one stands in the conversation."""

    conversation_id: Id
    seq: int
    members: list[MemberOut]
    unread: int


class LeaveIn(Wire):
    conversation_id: Id


class LeaveOut(Wire):
    conversation_id: Id


class TypingIn(Wire):
    """`isTyping` ends by itself after six seconds, on send, and on disconnect."""

    to: Id | None = None
    conversation_id: Id | None = None
    is_typing: bool


class ReadOut(Wire):
    """How far one has read now."""

    conversation_id: Id
    seq: int
    unread: int


Change = Literal[
    "created",
    "member_added",
    "member_removed",
    "role_changed",
    "renamed",
    "muted",
    "account_left",
    "account_back",
    "account_erased",
]


class ConversationUpdated(
    Publication, event="conversation_updated", verb=Verb.READ_CONVERSATION, logged=True
):
    """A conversation came into being for this person, or its name, members, roles or one's muting changed.

    `version` is the conversation's with this change: ignore it when you have a higher one. Muting has none,
    nor has what becomes of the account of `userId`: `account_left` when they ask for it to be deleted, and
    `account_back` when they stay. With `account_erased` everything they have said counts as deleted.
    """

    conversation_id: Id
    change: Change
    version: int | None = None
    kind: Literal["direct", "group"] = "group"
    name: str | None = None
    user_id: Id | None = None
    role: Role | None = None
    muted: bool | None = None


class MessageRead(Publication, event="message_read", verb=Verb.SEE_RECEIPTS, logged=True):
    """`userId` has read the conversation up to `seq`."""

    conversation_id: Id
    user_id: Id
    seq: int
    message_id: Id | None


class MessageDelivered(Publication, event="message_delivered", verb=Verb.SEE_RECEIPTS, ephemeral=True):
    """The conversation has reached a device of `userId` up to `seq`."""

    conversation_id: Id
    user_id: Id
    seq: int


class TypingIndicator(Publication, event="typing_indicator", verb=Verb.SEE_TYPING, ephemeral=True):
    """`userId` began or stopped typing."""

    conversation_id: Id
    user_id: Id
    is_typing: bool

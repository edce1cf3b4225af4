"""Who may do what in a group: the owner everything, admins members and the name, members leave."""

from realtime.features.conversations.schemas import Role

MANAGERS: tuple[Role, ...] = ("owner", "admin")


def may_add(role: Role) -> bool:
    return role in MANAGERS


def may_rename(role: Role) -> bool:
    return role in MANAGERS


def may_change_roles(role: Role) -> bool:
    return role == "owner"


def removable_by(role: Role) -> tuple[Role, ...]:
    """The roles of those whom someone with `role` may remove."""
    if role == "owner":
        return ("admin", "member")
    return ("member",) if role == "admin" else ()

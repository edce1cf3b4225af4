"""Where notifications are kept: the changes there are, and the ledger that orders them."""

from realtime.features.notifications.store.ledger import Ledger, Transactions

__all__ = ["Ledger", "Transactions"]

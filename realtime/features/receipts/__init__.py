"""Receipts: how far messages have come, and how far they are read."""

from realtime.features.receipts.service import ReceiptService

__all__ = ["ReceiptService"]

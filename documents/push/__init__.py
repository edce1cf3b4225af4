"""Devices that take pushes, and what is on its way to them."""

from beanie import Document

from documents.push.claims import Claims
from documents.push.deliveries import Placing, PushDelivery
from documents.push.devices import Platform, PushDevice, WebKeys

DOCUMENTS: list[type[Document]] = [PushDevice, PushDelivery]

__all__ = ["DOCUMENTS", "Claims", "Placing", "Platform", "PushDelivery", "PushDevice", "WebKeys"]

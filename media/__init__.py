"""Bytes: where they are kept, and what is done to them. No database, no network but the object store's."""

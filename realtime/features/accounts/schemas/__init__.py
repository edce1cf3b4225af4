"""The shapes of accounts, and what accounts need of other features."""

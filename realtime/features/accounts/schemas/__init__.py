"""The shapes of accounts, what their names and texts may be, and what accounts need of other features."""

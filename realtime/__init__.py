"""The core: actors, the gateway, fan-out, and the features."""

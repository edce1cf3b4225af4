"""The side-car: REST routes over the core's services, and the pages that describe them."""

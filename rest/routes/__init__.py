"""One module for each feature; each has a route table named `routes`."""

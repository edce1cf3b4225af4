"""`python -m realtime`: the core and the side-car in one program. The only module that knows both."""

from realtime.cli import build_cli
from rest.app import add_rest
from rest.docs import write_docs

if __name__ == "__main__":
    build_cli(add_rest, write_docs)()

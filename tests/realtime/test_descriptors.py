"""A process takes as many connections as the system lets it, whatever the shell began with."""

import subprocess
import sys

FEW = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
from realtime.app import allow_descriptors
allow_descriptors()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes() -> None:
    done = subprocess.run([sys.executable, "-c", FEW], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"

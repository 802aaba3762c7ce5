"""Open files: a low soft limit ends no run where the system grants more."""

from __future__ import annotations

import subprocess
import sys

SAYS = """
import resource
from rejse.pipelines import open_files
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, most))
open_files.allow()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
print(soft == max({soft}, min(hard, open_files.ENOUGH)), hard == most)
"""


def said(soft: int) -> str:
    command = [sys.executable, "-c", SAYS.format(soft=soft)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_limit_is_raised_as_far_as_the_system_lets_it() -> None:
    assert said(soft=64) == "True True"

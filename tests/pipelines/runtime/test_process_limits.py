"""A process of our own does without what is unused; one of somebody else keeps what it has."""

from __future__ import annotations

import os
import subprocess
import sys

from rejse.pipelines.runtime import process_limits

IMPORTS = """
from rejse.pipelines.runtime import process_limits
process_limits.tune_allocator()
import pyarrow as pa
pa.array([1, 2, None])
pa.table({"a": ["x"]}).to_pylist()
import apache_beam
for name in sorted(process_limits.UNUSED):
    try:
        __import__(name)
    except ModuleNotFoundError as fault:
        print(fault.name, "refused")
"""


def test_what_is_unused_is_not_imported_by_a_process_of_our_own() -> None:
    command = [sys.executable, "-c", IMPORTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name} refused" for name in sorted(process_limits.UNUSED)]


def test_what_is_there_already_stays_and_the_rest_is_refused() -> None:
    stand_in = "import pyarrow, types; sys.modules['pandas'] = types.ModuleType('pandas')"
    tune = "from rejse.pipelines.runtime import process_limits\nprocess_limits.tune_allocator()"
    code = f"import sys\n{stand_in}\n{tune}"
    script = f"{code}\nimport pandas\nprint(pandas.__name__)\nimport pymongo"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "pandas"
    assert "pymongo is not used by this process" in done.stderr


POOL = """
import ctypes
from rejse.pipelines.runtime import process_limits
process_limits.tune_allocator()
import pyarrow as pa
wanted = "jemalloc" if hasattr(ctypes.CDLL(None), "mallopt") else "system"
assert pa.array(["x"] * 99).nbytes and pa.default_memory_pool().backend_name == wanted
"""


def test_arrow_has_memory_of_its_own_and_says_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", POOL], capture_output=True, text=True, check=True)
    assert not done.stderr


THREADS = """
import os
from rejse.pipelines.runtime import process_limits
process_limits.limit_threads()
import numpy
print(len(os.listdir("/proc/self/task")))
"""


def test_numerical_libraries_keep_to_one_thread() -> None:
    inherited = {k: v for k, v in os.environ.items() if k not in process_limits.SINGLE_THREADED}
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=inherited)
    assert done.stdout.split() == ["1"]


OPEN_FILES = """
import resource
from rejse.pipelines.runtime import process_limits
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, most))
process_limits.raise_open_files()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
print(soft == max({soft}, min(hard, process_limits.OPEN_FILES)), hard == most)
"""


def test_the_limit_of_open_files_is_raised_as_far_as_the_system_lets_it() -> None:
    command = [sys.executable, "-c", OPEN_FILES.format(soft=64)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True True"

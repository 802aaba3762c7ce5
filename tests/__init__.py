"""Tests of rejse. Numerical libraries, loaded later, keep to one thread as in its commands."""

from rejse.pipelines.runtime import process_limits

process_limits.limit_threads()

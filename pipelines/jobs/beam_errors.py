"""What a runner of Beam failed with, as it would be on this machine.

A runner elsewhere says what its workers raised in a text, after tracebacks in two languages.
"""

from __future__ import annotations

import importlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from rejse.transforms.errors import MisuseError, RejseError

#: Seconds in which a job server must take a connection.
ANSWER = 10
#: An error of ours in a traceback: module, class, and the message up to what Beam or Java add.
_OURS = re.compile(
    r"^(rejse(?:\.\w+)+)\.(\w+): (.+?)(?: \[while running [^\n]*| \[after processing [^\n]*)?$",
    re.MULTILINE,
)


class RunnerError(RejseError):
    """A worker of a runner of Beam's failed."""


class NoJobServerError(MisuseError):
    """Nobody answers where the job server of a runner should be, or no longer does."""


def refuse_absent(options: PipelineOptions) -> None:
    """Raise NoJobServerError where nobody answers: Beam would wait for ever."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    if not endpoint or endpoint == "embed":
        return
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, ValueError) as fault:
        raise NoJobServerError(
            f"expected a job server of Beam's at --job_endpoint={endpoint}, came: {fault};"
            " start it, or name the place (docs/operate/cluster.md)"
        ) from None


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the workers of a runner raised, by the text in which it says so."""
    import grpc

    try:
        yield
    except grpc.RpcError as fault:
        raise NoJobServerError(
            f"expected the job server to say how the job ends, came {fault.code().name}; nothing"
            " was published. Look whether the job still runs, end it, and start again"
        ) from fault
    except RuntimeError as fault:
        raise of_text(str(fault)) or fault from fault


def of_text(text: str) -> RejseError | None:
    """Return the last error of ours in a text; None where it has none."""
    for module, name, message in reversed(_OURS.findall(text)):
        try:
            kind = getattr(importlib.import_module(module), name, None)
        except ImportError:  # of a worker of another version
            continue
        if isinstance(kind, type) and issubclass(kind, RejseError):
            takes_text = kind.__init__ is RejseError.__init__
            return kind(message) if takes_text else RunnerError(f"{name}: {message}")
    return None

"""Hosts of a network of their own on this machine: nothing in it can be reached from outside.

Each host is a network namespace, held open by a process that ends with this one. The first is the
hub, to whose bridge all others are linked. Makes of them need root, `ip`, `unshare` and `nsenter`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.kafka_broker import end_with_parent
from tests.support.strict import absent

#: The hosts' addresses: in documents' own range, should one ever leak.
ADDRESS = "192.0.2.{}"


@dataclass(frozen=True)
class Host:
    """A network namespace: its address, and the process that holds it."""

    address: str
    pid: int

    def command(self, *command: str) -> list[str]:
        """The command that does `command` there."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *command]

    def run(self, *command: str, **given: Any) -> subprocess.CompletedProcess[str]:
        """Do a command there and wait for its end."""
        return subprocess.run(
            self.command(*command), capture_output=True, text=True, check=False, **given
        )

    def enter(self) -> None:
        """Let this thread, and what it starts from now on, be there (Linux)."""
        with Path(f"/proc/{self.pid}/ns/net").open("rb") as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), 0):
                raise OSError(ctypes.get_errno(), "expected to enter a network namespace")

    def start(self, *command: str, **given: Any) -> subprocess.Popen[bytes]:
        """Begin a command there, in a session of its own; it ends with this process."""
        return subprocess.Popen(
            self.command(*command), stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=end_with_parent, **given,
        )  # fmt: skip


@contextmanager
def hosts(n: int) -> Iterator[Sequence[Host]]:
    """`n` hosts that reach each other; the first is the hub."""
    for program in ("ip", "unshare", "nsenter"):
        if shutil.which(program) is None:
            absent(f"tests with hosts of their own need {program}")
    if os.geteuid() != 0:
        absent("tests with hosts of their own need root, which may make network namespaces")
    with ExitStack() as held:
        made = [Host(ADDRESS.format(number + 1), _holder(held)) for number in range(n)]
        hub = made[0]
        _ip(hub, "link add bridge0 type bridge")
        _ip(hub, f"address add {hub.address}/24 dev bridge0")
        for name in ("lo", "bridge0"):
            _ip(hub, f"link set {name} up")
        for number, host in enumerate(made[1:], start=1):
            _ip(hub, f"link add name veth{number} type veth peer name eth0 netns {host.pid}")
            _ip(hub, f"link set veth{number} master bridge0 up")
            _ip(host, f"address add {host.address}/24 dev eth0")
            for name in ("lo", "eth0"):
                _ip(host, f"link set {name} up")
        yield made


def _holder(held: ExitStack) -> int:
    """The id of a process in a network namespace of its own, which it says when it is there."""
    process = subprocess.Popen(
        ["unshare", "--net", "--", "sh", "-c", "echo there; exec sleep infinity"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=end_with_parent,
    )  # fmt: skip
    assert process.stdout is not None
    held.callback(process.wait)
    held.callback(process.kill)
    held.enter_context(process.stdout)
    assert process.stdout.readline() == b"there\n", "expected a network namespace"
    return process.pid


def _ip(host: Host, words: str) -> None:
    subprocess.run(host.command("ip", *words.split()), check=True, capture_output=True)

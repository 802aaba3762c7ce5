"""A service says that it works only while it does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rejse.pipelines.runtime import service_manager


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """What the service manager listens to."""
    place = str(tmp_path / "notify")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(place)
    listening.setblocking(False)
    monkeypatch.setenv(service_manager.SOCKET, place)
    return listening


def received(manager: socket.socket) -> list[str]:
    states = []
    try:
        while True:
            states.append(manager.recv(1000).decode())
    except BlockingIOError:
        return states


def test_a_state_reaches_the_service_manager(manager: socket.socket) -> None:
    service_manager.notify("READY=1")
    assert received(manager) == ["READY=1"]
    manager.close()


def test_nobody_need_listen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(service_manager.SOCKET, raising=False)
    service_manager.notify("READY=1")
    monkeypatch.setenv(service_manager.SOCKET, str(tmp_path / "nobody"))
    service_manager.notify("READY=1")


def test_what_hangs_says_nothing(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = iter([0.01, 0.02, 0.03, 5.0, 5.01])
    monkeypatch.setattr(service_manager.time, "process_time", lambda: next(cpu))
    watchdog = service_manager.Watchdog(_cpu=0.0)
    watchdog.look()
    assert received(manager) == []
    watchdog.round()
    watchdog.look()
    assert received(manager) == ["WATCHDOG=1"]
    watchdog.look()
    assert received(manager) == [], "it came round before, not since"
    watchdog.look()
    assert received(manager) == ["WATCHDOG=1"], "it used 5 s of the processor"
    watchdog.progress("3 rows read")
    watchdog.look()
    assert received(manager) == ["STATUS=3 rows read", "WATCHDOG=1"]
    manager.close()


def test_the_watchdog_looks_as_often_as_it_must(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(service_manager.WATCHDOG, "3000")
    manager.settimeout(30)
    with service_manager.Watchdog().at_work() as watchdog:
        watchdog.round()
        assert manager.recv(1000) == b"WATCHDOG=1"
    manager.close()

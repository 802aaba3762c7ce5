"""The process that answers over HTTP: `python -m rejse.pipelines.live.http_process CONFIG SOCKET`.

It reads the files of the store only, so that neither the hot loop nor a run waits for it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rejse.pipelines.live.side_process import SideProcess, end_with_parent

if TYPE_CHECKING:
    from rejse.pipelines.config.settings import Settings
    from rejse.pipelines.live.http_server import Route

MODULE = "rejse.pipelines.live.http_process"


def beside(config: Path, listener: socket.socket) -> SideProcess:
    """Return the process of a configuration; it answers on a socket that listens."""
    number = listener.fileno()
    return SideProcess(MODULE, str(config), str(number), descriptors=(number,))


def routes(settings: Settings) -> Mapping[str, Route]:
    """Return what answers, by path."""
    from rejse.pipelines.live import http_status, status
    from rejse.pipelines.store import delta_store

    return http_status.routes(lambda: status.status(settings, delta_store.now()))


def main(config: Path, descriptor: int) -> None:
    """Answer until standard input ends."""
    end_with_parent()
    from rejse.pipelines.config import http_token, settings
    from rejse.pipelines.live.http_server import server

    loaded = settings.load(config)
    token = http_token.token(loaded.token_file, loaded.store_mode)
    server(socket.socket(fileno=descriptor), token, routes(loaded)).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

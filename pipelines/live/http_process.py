"""The process that answers over HTTP: `python -m rejse.pipelines.live.http_process CONFIG SOCKET`.

It reads the files of the store only, so that neither the hot loop nor a run waits for it.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rejse.pipelines.live.side_process import SideProcess, end_with_parent
from rejse.transforms.errors import RejseError

if TYPE_CHECKING:
    from rejse.pipelines.config.settings import Settings
    from rejse.pipelines.live.http_server import Route
    from rejse.pipelines.reporting.card.lookup import Cards

MODULE = "rejse.pipelines.live.http_process"
#: Seconds between two looks for a new publication.
LOOK_S = 0.25


def beside(config: Path, listener: socket.socket) -> SideProcess:
    """Return the process of a configuration; it answers on a socket that listens."""
    number = listener.fileno()
    return SideProcess(MODULE, str(config), str(number), descriptors=(number,))


def routes(settings: Settings, cards: Cards) -> Mapping[str, Route]:
    """Return what answers, by path."""
    from rejse.pipelines.live import card_route, http_status, status
    from rejse.pipelines.store import delta_store

    return {
        **http_status.routes(lambda: status.status(settings, delta_store.now())),
        card_route.PATH: card_route.CardRoute(cards),
    }


def prepare(cards: Cards) -> None:
    """Read what cards need of each new publication before somebody asks for it, without end."""
    while True:
        with suppress(RejseError, OSError):  # whoever asks is answered with it
            cards.prepare()
        time.sleep(LOOK_S)


def main(config: Path, descriptor: int) -> None:
    """Answer until standard input ends."""
    end_with_parent()
    from rejse.pipelines.config import http_token, settings
    from rejse.pipelines.live.http_server import server
    from rejse.pipelines.reporting.card.lookup import Cards

    loaded = settings.load(config)
    token = http_token.token(loaded.token_file, loaded.store_mode)
    cards = Cards(loaded)
    threading.Thread(target=prepare, args=(cards,), daemon=True).start()
    server(socket.socket(fileno=descriptor), token, routes(loaded, cards)).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

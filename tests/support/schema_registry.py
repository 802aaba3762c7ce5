"""A schema registry in this process, on the loopback: schemas by number, and who asked.

A schema with references is a pair of itself and of what it refers to, which has a path.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


class Registry:
    """What a registry answers, and the `asked` (number, authorization)."""

    def __init__(self, schemas: Mapping[int | str, Any]) -> None:
        self.schemas, self.url = schemas, ""
        self.asked: list[tuple[str, str | None]] = []


@contextmanager
def serving(schemas: Mapping[int | str, Any]) -> Iterator[Registry]:
    """A registry with some schemas; any other number is 404, or the status that it is given."""
    registry = Registry(schemas)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path).removeprefix("/")
            name = path.removeprefix("schemas/ids/")
            registry.asked.append((name, self.headers["Authorization"]))
            schema = registry.schemas.get(int(name) if name.isdigit() else name, 404)
            schema, references = schema if isinstance(schema, tuple) else (schema, None)
            self.send_response(schema if isinstance(schema, int) else 200)
            self.end_headers()
            if not isinstance(schema, int):
                answer = {"schema": json.dumps(schema), "references": references}
                self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

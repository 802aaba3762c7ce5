"""Answer over HTTP, on this machine only, to those who have the token.

A route is a function of a query. Waitress reads requests, keeps connections open, and bounds both.
The log gets method, route and status of each request, and nothing of what was asked.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from rejse.pipelines.runtime import logs
from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    from waitress.server import BaseWSGIServer

JSON, TEXT = "application/json; charset=utf-8", "text/plain; charset=utf-8"
#: Bytes of a request line with all headers, and of a body, at most.
MOST_HEADERS, MOST_BODY = 16_384, 4096
#: Connections at a time; further ones wait.
MOST_CONNECTIONS = 32
#: Seconds without a byte after which a connection is closed.
IDLE_S = 15
#: Beginning of the headers `Rejse-NAME`, which carry what must not stand in an address.
PRIVATE_HEADER = "HTTP_REJSE_"
#: Headers of every answer: it is for this caller alone, and no page of a browser.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
METHODS = ("GET", "POST")
_LOG = logging.getLogger(__name__)


class Answer(NamedTuple):
    """Status, content type and body of an answer."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Query:
    """What a request asks for.

    Attributes:
        address: Parameters of the address, which proxies and shells may write down.
        private: Parameters of the body and of headers `Rejse-NAME`, which they do not.
    """

    address: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[Query], Answer]


def as_json(value: Any, status: int = HTTPStatus.OK) -> Answer:
    """Return an answer that holds a JSON document; times as ISO 8601, dataclasses as objects."""
    return Answer(status, JSON, json.dumps(value, ensure_ascii=False, default=_plain).encode())


def as_text(text: str) -> Answer:
    """Return an answer that holds plain text."""
    return Answer(HTTPStatus.OK, TEXT, text.encode())


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a value: a time as ISO 8601, a dataclass as its fields."""
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return vars(value)
    raise TypeError(f"expected a value of JSON, came {type(value).__name__}")


def refusal(status: int, message: str) -> Answer:
    """Return an answer that says what was expected."""
    return as_json({"error": message}, status)


def listening(text: str) -> socket.socket:
    """Return a socket that listens on `[HOST:]PORT` of this machine; port 0 takes a free one.

    Raises:
        MisuseError: it is no such address, not one of this machine alone, or taken.
    """
    host, port = _address(text)
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(MOST_CONNECTIONS)
    except OSError as fault:
        listener.close()
        raise MisuseError(
            f"--http: expected a free port, came {port}: {str(fault.strerror).lower()}"
        ) from None
    return listener


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = {"": "127.0.0.1", "localhost": "127.0.0.1"}.get(host, host.strip("[]"))
    if not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise MisuseError(f"--http: expected PORT or 127.0.0.1:PORT, came {text!r}")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise MisuseError(
            f"--http: expected 127.0.0.1 or ::1, came {host!r}: the server answers on this machine"
            " only; a proxy with TLS before it serves others"
        )
    return host, int(port)


def server(listener: socket.socket, token: str, routes: Mapping[str, Route]) -> BaseWSGIServer:
    """Return what answers the requests of a listening socket by a table of routes (`run`)."""
    import waitress

    made: BaseWSGIServer = waitress.create_server(
        Application(token, routes), sockets=[listener], ident=None,
        clear_untrusted_proxy_headers=True, connection_limit=MOST_CONNECTIONS,
        channel_timeout=IDLE_S, cleanup_interval=IDLE_S,
        max_request_header_size=MOST_HEADERS, max_request_body_size=MOST_BODY,
    )  # fmt: skip
    return made


class Application:
    """Answers requests by a table of routes, to those who know the token (WSGI)."""

    def __init__(self, token: str, routes: Mapping[str, Route]) -> None:
        """Take what callers must know, and what answers by path."""
        self._token, self._routes = _digest(token), routes

    def __call__(
        self, environ: Mapping[str, Any], start: Callable[[str, list[tuple[str, str]]], Any]
    ) -> Iterable[bytes]:
        """Answer a request, and log it without what was asked."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        route = path if path in self._routes else None
        answer = self._checked(environ, method, route)
        headers = HEADERS | {
            "Content-Type": answer.content_type, "Content-Length": str(len(answer.body))
        }  # fmt: skip
        if answer.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        start(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()))
        known = method if method in METHODS else "-"
        _LOG.info("%s %s %d", known, route or "-", answer.status)
        return [answer.body]

    def _checked(self, environ: Mapping[str, Any], method: str, route: str | None) -> Answer:
        """Return what the route answers to those who may ask it."""
        if not self._knows(environ.get("HTTP_AUTHORIZATION", "")):
            return refusal(HTTPStatus.UNAUTHORIZED, "expected `Authorization: Bearer TOKEN`")
        if method not in METHODS:
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"expected {' or '.join(METHODS)}")
        if route is None:
            known = ", ".join(sorted(self._routes))
            return refusal(HTTPStatus.NOT_FOUND, f"expected one of {known}")
        try:
            query = Query(dict(parse_qsl(environ["QUERY_STRING"])), _private(environ))
        except (ValueError, RecursionError):
            return refusal(HTTPStatus.BAD_REQUEST, "expected a JSON object of texts, or a form")
        return _routed(self._routes[route], query)

    def _knows(self, header: str) -> bool:
        """Return whether a header `Authorization` has the token, in constant time."""
        scheme, _, given = header.partition(" ")
        is_equal = hmac.compare_digest(_digest(given.strip()), self._token)
        return scheme.lower() == "bearer" and is_equal


def _digest(text: str) -> bytes:
    """Return a hash: comparing two of them does not tell how long a text is."""
    return hashlib.sha256(text.encode("latin-1")).digest()


def _private(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of headers and body. Raises ValueError."""
    values = {
        name.removeprefix(PRIVATE_HEADER).lower(): value.encode("latin-1").decode()
        for name, value in environ.items()
        if name.startswith(PRIVATE_HEADER)
    }
    body: bytes = environ["wsgi.input"].read()
    if not body:
        return values
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return values | dict(parse_qsl(body.decode()))
    document = json.loads(body)
    if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
        raise ValueError("no object of texts")
    return values | document


def _routed(route: Route, query: Query) -> Answer:
    """Return the answer of a route; a fault of it is logged by its place, not by its words."""
    try:
        return route(query)
    except Exception as fault:
        _LOG.error(logs.described(fault))
        return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of rejse; its log says where")

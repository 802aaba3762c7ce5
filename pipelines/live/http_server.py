"""Answer over HTTP, on this machine only, to those who have the token.

A route is a function of a query. The server keeps connections open, takes few of them, refuses
long requests, and writes into the log only method, route and status of each.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import logging
import socket
import socketserver
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from rejse.transforms.errors import MisuseError

JSON = "application/json; charset=utf-8"
#: Bytes of a request line, of all headers, and of a body at most.
MOST_LINE, MOST_HEADERS, MOST_BODY = 2048, 16_384, 4096
#: Connections at a time; further ones are refused.
MOST_CONNECTIONS = 32
#: Seconds without a byte after which a connection is closed.
IDLE_S = 15.0
#: Seconds, and reads, for which a caller's rest is passed over before a connection is closed.
LINGER_S, LINGER_READS = 0.5, 16
#: Beginning of the headers that carry what must not stand in an address.
PRIVATE_HEADER = "Rejse-"
#: Headers of every answer: it is for this caller alone, and no page of a browser.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
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
    """Return an answer that holds a JSON document."""
    return Answer(status, JSON, json.dumps(value, ensure_ascii=False).encode())


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


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Answers the requests of a listening socket by a table of routes, a thread a connection."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, token: str, routes: Mapping[str, Route]) -> None:
        """Take the socket, what callers must know, and what answers by path."""
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.routes = listener, routes
        self._token = _digest(token.encode())
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def knows(self, header: str) -> bool:
        """Return whether a header `Authorization` has the token, in constant time."""
        scheme, _, given = header.partition(" ")
        is_equal = hmac.compare_digest(_digest(given.strip().encode("latin-1")), self._token)
        return scheme.lower() == "bearer" and is_equal

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer the requests of a connection in a thread of its own, or refuse it."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        request.setblocking(False)
        busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        with suppress(OSError):
            request.send(busy)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer the requests of a connection, then let another one in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a connection that its caller broke off."""


def _digest(text: bytes) -> bytes:
    """Return a hash: comparing two of them does not tell how long a text is."""
    return hashlib.sha256(text).digest()


class _Bounded:
    """Reads lines of a request up to so many bytes."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream, self._left = stream, MOST_HEADERS

    def readline(self, limit: int = -1) -> bytes:
        line = self._stream.readline(min(limit, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("headers")
        return line


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "rejse", ""
    timeout = IDLE_S
    disable_nagle_algorithm = True  # else an answer may wait for the caller's acknowledgement
    wbufsize = -1  # headers and body leave together
    server: Server
    raw_requestline: bytes

    def parse_request(self) -> bool:
        """Read a request line of bounded length and headers of bounded size."""
        self.command, self.requestline = "", ""
        self.request_version = self.protocol_version
        self.close_connection = True
        if len(self.raw_requestline) > MOST_LINE:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return False
        whole, self.rfile = self.rfile, _Bounded(self.rfile)  # type: ignore[assignment]
        try:
            return super().parse_request()
        finally:
            self.rfile = whole

    def do_GET(self) -> None:
        """Answer a request without a body."""
        if {"content-length", "transfer-encoding"} & {name.lower() for name in self.headers}:
            self.close_connection = True  # what follows is no request
        self._answer(has_body=False)

    def do_POST(self) -> None:
        """Answer a request whose body is a JSON object or a form."""
        self._answer(has_body=True)

    def _answer(self, has_body: bool) -> None:
        """Answer, and log it without what was asked."""
        try:
            address = urlsplit(self.path)
            route = address.path if address.path in self.server.routes else None
            answer = self._checked(route, address.query, has_body)
        except ValueError:  # such as an address that is none
            route, answer = None, refusal(HTTPStatus.BAD_REQUEST, "expected a request, came none")
        self._send(answer)
        _LOG.info("%s %s %d", self.command, route or "-", answer.status)

    def _checked(self, route: str | None, query: str, has_body: bool) -> Answer:
        """Return what the route answers to those who may ask it."""
        if not self.server.knows(self.headers.get("Authorization", "")):
            self.close_connection = True  # its body is not read
            return refusal(HTTPStatus.UNAUTHORIZED, "expected `Authorization: Bearer TOKEN`")
        body = self._body() if has_body else b""
        if body is None:
            self.close_connection = True
            message = f"expected Content-Length, of at most {MOST_BODY} bytes"
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        if route is None:
            known = ", ".join(sorted(self.server.routes))
            return refusal(HTTPStatus.NOT_FOUND, f"expected one of {known}")
        try:
            asked = Query(dict(parse_qsl(query)), self._private(body))
        except (ValueError, RecursionError):
            return refusal(HTTPStatus.BAD_REQUEST, "expected a JSON object of texts, or a form")
        return _routed(self.server.routes[route], asked)

    def _body(self) -> bytes | None:
        """Return the body; None where its length is not given, or too great."""
        length = self.headers.get("Content-Length", "")
        is_bounded = length.isascii() and length.isdigit() and len(length) < 9
        if not is_bounded or int(length) > MOST_BODY or "Transfer-Encoding" in self.headers:
            return None
        return self.rfile.read(int(length))

    def _private(self, body: bytes) -> dict[str, str]:
        """Return the parameters of headers and body. Raises ValueError."""
        values = {
            name.removeprefix(PRIVATE_HEADER.lower()): value
            for name, value in ((name.lower(), value) for name, value in self.headers.items())
            if name.startswith(PRIVATE_HEADER.lower())
        }
        values = {name: value.encode("latin-1").decode() for name, value in values.items()}
        if not body:
            return values
        if self.headers.get_content_type() == "application/x-www-form-urlencoded":
            return values | dict(parse_qsl(body.decode()))
        document = json.loads(body)
        if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
            raise ValueError("no object of texts")
        return values | document

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def finish(self) -> None:
        """Close the connection; what was not read would else reset it before the answer is read."""
        super().finish()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_S)
            for _ in range(LINGER_READS):
                if not self.connection.recv(MOST_HEADERS):
                    break

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request; the standard library's message would repeat parts of it."""
        self.close_connection = True
        self.request_version = self.protocol_version  # else it might answer without headers
        self._send(refusal(code, HTTPStatus(code).phrase.lower()))
        _LOG.info("- - %d", code)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the standard library's lines hold what was asked."""


def _routed(route: Route, query: Query) -> Answer:
    """Return the answer of a route; a fault of it is logged by its place, not by its words."""
    try:
        return route(query)
    except Exception as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        _LOG.error("%s in %s, line %s", type(fault).__name__, place.name, place.lineno)
        return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of rejse; its log says where")

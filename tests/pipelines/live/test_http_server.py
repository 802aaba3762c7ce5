"""The HTTP server: who may ask, from where, how much, and what of it is written down."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest
from waitress import wasyncore

from rejse.pipelines.live import http_server
from rejse.pipelines.live.http_server import Answer, Query, as_json, listening
from rejse.transforms.errors import MisuseError

TOKEN = "t" * 43
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
SECRET = "C1042-of-the-customer"


def echo(query: Query) -> Answer:
    return as_json({"address": dict(query.address), "private": dict(query.private)})


def faulty(query: Query) -> Answer:
    raise KeyError(query.address["name"])


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with listening("0") as listener:
        server = http_server.server(listener, TOKEN, {"/echo": echo, "/faulty": faulty})
        loop = threading.Thread(target=server.run)
        loop.start()
        yield listener.getsockname()[1]
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
        loop.join()
        server.task_dispatcher.shutdown()


def asked(
    port: int, method: str, path: str, body: str | None = None, **headers: str
) -> Reply:  # fmt: skip
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    caller.request(method, path, body, HEADERS | given)
    answer = caller.getresponse()
    reply = Reply(answer.status, answer.headers, answer.read())
    caller.close()
    return reply


def raw(port: int, request: bytes) -> bytes:
    """Send bytes, and return all that comes until the server closes or breaks the connection."""
    received = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as caller,
        suppress(ConnectionError),  # it does not read the rest of what is too long
    ):
        caller.sendall(request)
        while part := caller.recv(65536):
            received += part
    return received


def test_a_route_gets_parameters_apart_by_where_they_stand(port: int) -> None:
    body = '{"identity": "Søren"}'.encode()
    reply = asked(port, "POST", "/echo?a=1", body.decode("latin-1"), Rejse_Kind="phone")
    assert reply.status == 200
    assert reply.body.decode() == (
        '{"address": {"a": "1"}, "private": {"kind": "phone", "identity": "Søren"}}'
    )
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    caller.request("POST", "/echo", "identity=a%2Bb", HEADERS | form)
    assert caller.getresponse().read() == b'{"address": {}, "private": {"identity": "a+b"}}'
    caller.close()


@pytest.mark.parametrize("given", ["", "Bearer ", f"Bearer {TOKEN[1:]}", f"Basic {TOKEN}", "é"])
def test_without_the_token_no_path_is_told_from_another(port: int, given: str) -> None:
    requests = (("GET", "/echo", None), ("GET", "/nothing", None), ("POST", "/echo", "{"))
    replies = [
        asked(port, method, path, body, Authorization=given) for method, path, body in requests
    ]
    assert {(reply.status, reply.body) for reply in replies} == {
        (401, b'{"error": "expected `Authorization: Bearer TOKEN`"}')
    }
    assert {reply.headers["WWW-Authenticate"] for reply in replies} == {"Bearer"}


def test_a_connection_stays_open_and_answers_are_for_the_caller_alone(port: int) -> None:
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(3):
        caller.request("GET", "/echo", headers=HEADERS)
        answer = caller.getresponse()
        answer.read()
        opened = caller.sock
        assert answer.status == 200 and opened is not None
        assert {name: answer.headers[name] for name in http_server.HEADERS} == http_server.HEADERS
        assert answer.headers["Server"] is None
    caller.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /echo HTTP/1.1\r\n" + b"A: b\r\n" * 4000 + b"\r\n", 431),
        (b"GET /echo HTTP/1.1\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (b"DELETE /echo HTTP/1.1\r\nConnection: close\r\n\r\n", 401),
        (b"get /echo HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_long_and_strange_requests_are_refused(port: int, request_: bytes, status: int) -> None:
    assert f" {status} ".encode() in raw(port, request_).partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("length", "status"), [("5000", 413), ("9" * 30, 413), ("-1", 400), ("1e3", 400), ("²", 400)]
)
def test_a_body_without_a_bounded_length_is_not_read(port: int, length: str, status: int) -> None:
    head = f"POST /echo HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\n"
    assert f" {status} ".encode() in raw(port, f"{head}\r\n{{}}".encode())


@pytest.mark.parametrize("body", ["[]", "{", '{"a": 1}', "[" * 4000, "\udce9"])
def test_a_body_that_is_no_object_of_texts_is_refused(port: int, body: str) -> None:
    content = body.encode("utf-8", "surrogateescape").decode("latin-1")
    assert asked(port, "POST", "/echo", content).status == 400


def test_a_body_is_no_request(port: int) -> None:
    smuggled = b"GET /echo HTTP/1.1\r\n\r\n"
    token = b"Authorization: Bearer " + TOKEN.encode()
    for head in (b"GET /echo HTTP/1.1\r\n" + token, b"POST /echo HTTP/1.1"):
        head += b"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
        request = head + smuggled
        assert raw(port, request).count(b"HTTP/1.1 ") == 1


def test_the_log_has_method_route_and_status_only(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="rejse"):  # which a command before may have set
        asked(port, "GET", f"/echo?identity={SECRET}")
        asked(port, "POST", "/echo", f'{{"identity": "{SECRET}"}}')
        asked(port, "GET", f"/{SECRET}")
        asked(port, "GET", f"/faulty?name={SECRET}")
        asked(port, "GET", "/echo", Authorization=f"Bearer {SECRET}")
        raw(port, f"{SECRET} /{SECRET} HTTP/1.1\r\n\r\n".encode())
        raw(port, f"GET /{SECRET} {SECRET}\r\n\r\n".encode())
    fault = f"KeyError in faulty, line {faulty.__code__.co_firstlineno + 1}"
    assert [record.getMessage() for record in caplog.records] == [
        "GET /echo 200", "POST /echo 200", "GET - 404", fault,
        "GET /faulty 500", "GET /echo 401",
    ]  # fmt: skip
    assert SECRET not in caplog.text


def test_further_connections_than_it_takes_wait_until_others_are_closed(port: int) -> None:
    request = f"GET /echo HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    callers = [
        socket.create_connection(("127.0.0.1", port), timeout=5)
        for _ in range(2 * http_server.MOST_CONNECTIONS)
    ]
    for caller in callers:
        caller.sendall(request)
    for caller in callers:
        with caller:
            assert caller.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.7:0", "[::]:0", "example.com:0", ":::0"])
def test_only_this_machine_is_served(address: str) -> None:
    with pytest.raises(MisuseError, match=r"expected 127\.0\.0\.1 or ::1"):
        listening(address)


@pytest.mark.parametrize("address", ["", "http", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:-1"])
def test_an_address_has_a_port(address: str) -> None:
    with pytest.raises(MisuseError, match="--http: expected PORT"):
        listening(address)


def test_a_port_that_is_taken_is_named() -> None:
    with listening("localhost:0") as first:
        taken = first.getsockname()[1]
        with pytest.raises(MisuseError, match=f"expected a free port, came {taken}"):
            listening(str(taken))

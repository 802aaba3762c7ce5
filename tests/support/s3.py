"""A local S3 server (moto) and buckets in it; credentials and address are in the environment."""

from __future__ import annotations

import logging
import os
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.kafka_broker import free_port

#: What clients find the server by; it takes any credentials.
NAMES = ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
         "AWS_REGION")  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which clients find it."""
        return dict(zip(NAMES, (self.address, "true", "any", "any", "us-east-1"), strict=True))

    def url(self) -> str:
        """A folder of a new bucket, as the URL of a store."""
        name = f"b{uuid.uuid4().hex}"
        made = urllib.request.Request(f"{self.address}/{name}", method="PUT")
        with urllib.request.urlopen(made):
            return f"s3://{name}/stores/one"


@contextmanager
def running(host: str = "127.0.0.1") -> Iterator[Server]:
    """A server of this process; the environment names it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = free_port()
    server = ThreadedMotoServer(host, port, verbose=False)
    server.start()
    started, before = Server(f"http://{host}:{port}"), {n: os.environ.get(n) for n in NAMES}
    os.environ |= started.environment
    try:
        yield started
    finally:
        server.stop()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

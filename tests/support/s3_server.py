"""A server that speaks S3, in memory, on loopback: `python -m tests.support.s3_server`.

It prints its port, and ends when its standard input does. One request is answered at a time, so
that a condition of a put and the put are one act, as S3 promises; moto's own server lets another
put come between. `GET /requests` returns how many requests of each method were answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from tests.support.paths import ROOT
from tests.support.strict import absent

BUCKET = "company"


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """A server with an empty bucket; yields the environment in which a process reaches it."""
    missing = [name for name in ("moto", "obstore") if find_spec(name) is None]
    if missing:
        absent(f"{' and '.join(missing)}: pip install 'rejse[objects,dev]'")
    command = [sys.executable, "-m", "tests.support.s3_server"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, **pipes) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        try:
            yield {
                "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            }  # fmt: skip
        finally:
            server.stdin.close()


def requests(environment: Mapping[str, str]) -> Counter[str]:
    """How many requests of each method a server has answered."""
    with urllib.request.urlopen(f"{environment['AWS_ENDPOINT_URL']}/requests") as answer:
        return Counter(json.load(answer))


def _serve() -> None:
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    moto = DomainDispatcherApplication(create_backend_app)
    answered: Counter[str] = Counter()
    one_at_a_time = threading.Lock()

    def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        with one_at_a_time:
            if environ["PATH_INFO"] == "/requests":
                start("200 OK", [("Content-Type", "application/json")])
                return [json.dumps(answered).encode()]
            answered[environ["REQUEST_METHOD"]] += 1
            return list(moto(environ, start))

    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{server.server_port}", region_name="us-east-1",
        aws_access_key_id="x", aws_secret_access_key="x",
    ).create_bucket(Bucket=BUCKET)  # fmt: skip
    answered.clear()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve()

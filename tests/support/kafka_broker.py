"""A Kafka broker on this machine: `python -m tests.support.kafka_broker [PORT]`.

Maven fetches its jars once into the user's cache; their hashes are pinned beside `pom.xml`. The
broker listens on the loopback only, keeps its data in a folder that is removed, and ends with the
process that started it.
"""

from __future__ import annotations

import ctypes
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.jars import Jars
from tests.support.strict import absent

JARS = Jars(Path(__file__).parent / "kafka", "kafka-4.4.0", "the tests with a Kafka broker")
#: Seconds in which a broker must be ready, on a machine that others load.
READY = 300
JAVA = (
    "java", "-Xmx384m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)  # fmt: skip
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://{address}:{port},CONTROLLER://127.0.0.1:{controller},\
SECURE://127.0.0.1:{secure}
advertised.listeners=PLAINTEXT://{address}:{port},SECURE://127.0.0.1:{secure}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={folder}/server.pem
listener.name.secure.sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_reader="{password}";
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
num.network.threads=1
num.io.threads=2
log.retention.ms=-1
log.cleaner.backoff.ms=200
auto.create.topics.enable=false
"""
#: What makes the folder of a broker its own; it is otherwise empty.
META = "version=1\ncluster.id=cmVqc2UtdGVzdC1icm9rZQ\nnode.id=1\n"


class Broker:
    """A broker: `servers` is its address, `secure` that where `reader` must show the `password`.

    The certificate of `secure` is in the file `authority`. In a network of its own a broker may
    have another address than the loopback.
    """

    def __init__(self, folder: Path, port: int | None = None, address: str = "127.0.0.1") -> None:
        self.folder, self.port, secure = folder, port or free_port(), free_port()
        self._address = address
        self.servers, self.secure = f"{address}:{self.port}", f"127.0.0.1:{secure}"
        self.password, self.authority = secrets.token_hex(), folder / "server.crt"
        certify(folder)
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "meta.properties").write_text(META)
        text = PROPERTIES.format(
            folder=folder, port=self.port, controller=free_port(), secure=secure,
            password=self.password, address=address,
        )  # fmt: skip
        (folder / "server.properties").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = str(self.folder / "server.properties")
        command = [*JAVA, "-cp", f"{JARS.folder()}/*", "kafka.Kafka", settings]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip
        end = time.monotonic() + READY
        while not answers(self.port, self._address):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def running(port: int | None = None, address: str = "127.0.0.1") -> Iterator[Broker]:
    """A broker with a folder of its own, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="rejse-kafka-"))
    broker = Broker(folder, port, address)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(folder)


def certify(folder: Path) -> None:
    """Make a key and a certificate of the loopback: `server.pem` has both, `server.crt` no key."""
    if shutil.which("openssl") is None:
        absent("the tests with a Kafka broker need openssl")
    key, certificate = folder / "server.key", folder / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
         certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "server.pem").write_bytes(key.read_bytes() + certificate.read_bytes())


def end_with_parent() -> None:
    """Let the process that is about to start end with its parent, whatever ends that (Linux)."""
    set_parent_death_signal = 1
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody listens at a port of an address."""
    with socket.socket() as caller:
        return caller.connect_ex((address, port)) == 0


def main() -> int:
    """Run a broker until it is stopped."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9092
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with running(port) as broker:
        sys.stdout.write(f"Kafka at {broker.servers}; Ctrl-C ends it and removes its data\n")
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A Flink cluster on this machine: `python -m tests.support.flink_cluster [COMMAND …]`.

One JobManager with Beam's job server, and TaskManagers, each with a worker pool of Beam's on a host
of its own, with folders that no other host sees. All of it runs in a network of its own
(`namespaces`), since job servers and worker pools listen on all interfaces and take code from
whoever asks. The jars come from Maven: those of Beam's runner for Flink are all that a cluster
needs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.jars import Jars
from tests.support.namespaces import Host, hosts

JARS = Jars(Path(__file__).parent / "flink", "flink-1.19.0", "the tests with a Flink cluster")
#: Below 32768: whoever calls a port above it, where nobody listens yet, may get it for himself.
JOB_PORT, REST_PORT, POOL_PORT = 8099, 8081, 10500
#: Seconds in which the cluster must be ready, on a machine that others load.
READY = 300
OPENED = (
    "java.lang", "java.net", "java.io", "java.nio", "java.lang.reflect", "java.text", "java.time",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
)  # fmt: skip
JAVA = (
    "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
)  # fmt: skip
#: A graph has some 120 tasks, each with network buffers: hence those sizes. Managed memory is where
#: the shuffle sorts: what has one key must fit into the part of one of some twenty sorters of a
#: slot. The JobManager takes files from itself at localhost, so it must listen there too.
CONFIGURATION = """\
jobmanager.rpc.address: {hub}
jobmanager.rpc.port: 6123
jobmanager.bind-host: 0.0.0.0
jobmanager.memory.process.size: 900m
rest.address: {hub}
rest.bind-address: {hub}
rest.port: {rest}
taskmanager.host: {host}
taskmanager.bind-host: {host}
taskmanager.numberOfTaskSlots: {slots}
taskmanager.cpu.cores: 1.0
taskmanager.memory.flink.size: 2048m
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.managed.size: 1024m
taskmanager.memory.network.min: 512m
taskmanager.memory.network.max: 512m
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.jvm-metaspace.size: 192m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
taskmanager.network.sort-shuffle.min-parallelism: 1000
io.tmp.dirs: {folder}
blob.storage.directory: {folder}
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 20
restart-strategy.fixed-delay.delay: 1s
heartbeat.interval: 2000
heartbeat.timeout: 40000
pekko.startup-timeout: 90s
pekko.ask.timeout: 60s
classloader.check-leaked-classloader: false
execution.checkpointing.dir: file://{shared}/checkpoints
"""
LOOK = """\
import json, socket, sys, time, urllib.request
url, workers, address, port = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
while True:
    try:
        with urllib.request.urlopen(url + "/overview", timeout=3) as answer:
            if json.load(answer)["taskmanagers"] >= workers:
                with socket.create_connection((address, port), timeout=3):
                    break
    except OSError:
        pass
    time.sleep(0.1)
"""


class Cluster:
    """JobManager and job server on `hub`, a TaskManager and a worker pool on each of `workers`.

    Its processes are named `jobs`, `server`, and `tasks` and `pool` with the number of the worker.
    """

    def __init__(self, all_hosts: Sequence[Host], folder: Path, slots: int) -> None:
        self.hub, *self.workers = all_hosts
        self.folder, self._slots = folder, slots
        self._code: Path | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []

    @property
    def url(self) -> str:
        """Where the hub finds the REST interface of the JobManager."""
        return f"http://{self.hub.address}:{REST_PORT}"

    def options(self, parallelism: int) -> list[str]:
        """Options of Beam by which a graph runs here."""
        return [
            "--runner=PortableRunner", f"--job_endpoint={self.hub.address}:{JOB_PORT}",
            "--environment_type=EXTERNAL", f"--environment_config=localhost:{POOL_PORT}",
            f"--parallelism={parallelism}",
        ]  # fmt: skip

    def start(self) -> None:
        """Start what does not run, and wait until all answer."""
        for name in self.names():
            if name not in self._processes:
                self.begin(name)
        look = self.hub.start(
            sys.executable, "-c", LOOK, self.url, str(len(self.workers)), self.hub.address,
            str(JOB_PORT),
        )  # fmt: skip
        end = time.monotonic() + READY
        try:
            while look.poll() is None:
                for name, process in self._processes.items():
                    if process.poll() is not None:  # JVMs may die at start on a loaded machine
                        self.begin(name)
                if time.monotonic() > end:
                    raise RuntimeError(self.log("jobs")[-2000:])
                time.sleep(0.1)
        finally:
            look.kill()
            look.wait()

    def names(self) -> list[str]:
        """The names of the processes."""
        numbers = range(1, len(self.workers) + 1)
        return ["jobs", "server", *(f"{kind}{n}" for n in numbers for kind in ("tasks", "pool"))]

    def begin(self, name: str) -> None:
        """Start a process."""
        host, folder = self._host(name), self.folder / name
        others = [self.folder / other for other in self.names() if self._host(other) != host]
        for place in (folder, *others):
            place.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(
            CONFIGURATION.format(
                hub=self.hub.address, host=host.address, rest=REST_PORT, slots=self._slots,
                folder=folder, shared=self.folder,
            )
        )  # fmt: skip
        log = (folder / "log").open("ab")
        self._logs.append(log)
        command = hiding(others, self._command(name.rstrip("0123456789"), folder))
        self._processes[name] = host.start(
            *command, stdout=log, stderr=log, cwd=folder,
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "TMPDIR": str(folder),
                **({} if self._code is None else {"PYTHONPATH": str(self._code)}),
            },
        )  # fmt: skip

    def _host(self, name: str) -> Host:
        return self.hub if name in ("jobs", "server") else self.workers[int(name[-1]) - 1]

    def _command(self, kind: str, folder: Path) -> list[str]:
        java = [*JAVA, f"-Djava.io.tmpdir={folder}", "-cp", f"{JARS.folder()}/*"]
        if kind == "jobs":
            entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
            return [*java, "-Xmx400m", entry, "--configDir", str(folder),
                    "--executionMode", "cluster"]  # fmt: skip
        if kind == "tasks":
            entry = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
            memory = ("-Xmx512m", "-XX:MaxDirectMemorySize=900m", "-XX:MaxMetaspaceSize=256m")
            return [*java, *memory, entry, "--configDir", str(folder)]
        if kind == "server":
            entry = "org.apache.beam.runners.flink.FlinkJobServerDriver"
            host = self.hub.address
            return [*java, "-Xmx800m", entry, f"--flink-master={host}:{REST_PORT}",
                    f"--job-host={host}", f"--job-port={JOB_PORT}", "--artifact-port=8098",
                    "--expansion-port=8097", f"--artifacts-dir={folder}/artifacts"]  # fmt: skip
        pool = "apache_beam.runners.worker.worker_pool_main"
        return [sys.executable, "-m", pool, f"--service_port={POOL_PORT}"]

    def kill(self, name: str) -> None:
        """End a process at once, with all that it started, and start it anew."""
        self._end(name)
        self.begin(name)

    @contextmanager
    def of_other_code(self, folder: Path) -> Iterator[None]:
        """Let worker pools take their code from a folder in the meantime."""
        self._code = folder
        try:
            self._renew_pools()
            yield
        finally:
            self._code = None
            self._renew_pools()

    def _renew_pools(self) -> None:
        for name in self.names():
            if name.startswith("pool"):
                self.kill(name)

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / name / "log").read_text(errors="replace")

    def stop(self) -> None:
        """End all."""
        for name in [*self._processes]:
            self._end(name)
        for log in self._logs:
            log.close()


def hiding(folders: Sequence[Path], command: Sequence[str]) -> list[str]:
    """A command that finds some folders empty, as if they were on other machines."""
    mounts = "".join(f"mount -t tmpfs none {shlex.quote(str(folder))} && " for folder in folders)
    return ["unshare", "--mount", "--", "sh", "-c", f'{mounts}exec "$@"', "sh", *command]


@contextmanager
def running(workers: int = 2, slots: int = 4) -> Iterator[Cluster]:
    """A cluster with folders of its own, which are removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="rejse-flink-"))
    try:
        with hosts(workers + 1) as all_hosts:
            cluster = Cluster(all_hosts, folder, slots)
            try:
                cluster.start()
                yield cluster
            finally:
                cluster.stop()
    finally:
        shutil.rmtree(folder)


def main(words: list[str]) -> int:
    """Do a command on the hub of a cluster, `{options}` in it being Beam's; then end all.

    Without a command it is a shell.
    """
    with running() as cluster:
        options = {"{options}": cluster.options(2)}
        command = [word for given in words for word in options.get(given, [given])]
        if not command:
            command = [os.environ.get("SHELL", "sh")]
            sys.stdout.write(
                f"Flink is at {cluster.url} in this shell, whose end ends it. A run on it:\n"
                f"  rejse run --config FOLDER -- {' '.join(cluster.options(2))}\n"
            )
            sys.stdout.flush()
        return subprocess.run(cluster.hub.command(*command), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Programs that tests start: a server that can be killed and started again, and what is left of one or listens.

Only what belongs to a folder is looked at or ended: other people's programs run on the same machine.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# RabbitMQ's own programs come first: Debian's of the same name change to a user who may not write to our folders.
PATH = os.pathsep.join(["/usr/lib/rabbitmq/bin", os.environ["PATH"], "/usr/sbin"])
START_S = 180  # on a busy machine the 4 s of computing that RabbitMQ starts with took 40
END_S = 30


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(condition: Callable[[], object], seconds: float, message: str) -> None:
    """Wait for a condition, or fail with a message."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s: {message}"
        time.sleep(0.1)


def answers(port: int) -> bool:
    """Say whether something accepts connections at a port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def succeeds(*command: object) -> bool:
    """Say whether a command ends well."""
    return subprocess.run([*map(str, command)], capture_output=True, timeout=60, check=False).returncode == 0


def processes_of(*folders: Path) -> list[psutil.Process]:
    """Processes that run in one of the folders, or were started with it among their words or in their environment.

    Without this process and those that started it.
    """
    names = [os.fsencode(folder) for folder in folders]
    callers = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    found = []
    for pid in sorted(set(psutil.pids()) - callers):
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            texts = [Path(f"/proc/{pid}/{part}").read_bytes() for part in ("cmdline", "environ")]
            started = b"\0".join([*texts, os.readlink(b"/proc/%d/cwd" % pid)])
            if any(name in started for name in names):
                found.append(psutil.Process(pid))
    return found


@dataclass
class Sockets:
    """What processes were seen to listen at: kind, address and port."""

    seen: set[tuple[str, str, int]]

    @property
    def open(self) -> set[tuple[str, str, int]]:
        """Those that another machine could reach."""
        return {socket for socket in self.seen if not ipaddress.ip_address(socket[1]).is_loopback}

    def look(self, *folders: Path) -> None:
        """Look at the processes of folders."""
        pids = {process.pid for process in processes_of(*folders)}
        for at in psutil.net_connections("inet"):
            if at.pid in pids and at.status in (psutil.CONN_LISTEN, psutil.CONN_NONE) and at.laddr and not at.raddr:
                kind = "tcp" if at.type == socket.SOCK_STREAM else "udp"
                self.seen.add((kind, at.laddr.ip, at.laddr.port))


@contextlib.contextmanager
def watched(*folders: Path) -> Iterator[Sockets]:
    """Look every second at what processes of folders listen at."""
    sockets, over = Sockets(set()), threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            sockets.look(*folders)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield sockets
    finally:
        over.set()
        watcher.join()


def end_all(folder: Path) -> list[list[str]]:
    """Give processes of a folder some time to end, kill those that do not, and return their command lines."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not processes_of(folder), END_S, "processes")
    left = processes_of(folder)
    told = [process.cmdline() for process in left]
    for process in left:
        process.kill()
    psutil.wait_procs(left)
    return told


@contextlib.contextmanager
def own_folder(name: str) -> Iterator[Path]:
    """A temporary folder with a short path, as sockets need, that others may enter.

    When it is left, no process that was started with it may live on.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"phasecal-{name}-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        told = end_all(folder)
        shutil.rmtree(folder)
    assert not told, f"left behind: {told}"


class Server:
    """A program in the foreground that can be killed, and started again where it was.

    Attributes:
        process: The program itself, not a shell around it; its children are in the same session.
        log: What it and those before it printed.
    """

    process: subprocess.Popen

    def __init__(
        self,
        *command: object,
        log: Path,
        ready: Callable[[], object],
        account: Mapping[str, Any] | None = None,
        **environment: object,
    ) -> None:
        self.command = [*map(str, command)]
        self.log = log
        self.ready = ready
        self.account = account or {}
        self.environment = {**os.environ, "PATH": PATH} | {name: str(value) for name, value in environment.items()}

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return hasattr(self, "process") and self.process.poll() is None

    def start(self) -> None:
        """Start it unless it runs, and wait until it is ready.

        Raises:
            AssertionError: It ended or is not ready in time; the message has the last words of its log.
        """
        if self.runs:
            return
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd="/",
                start_new_session=True,
                **self.account,
            )
        try:
            wait_until(lambda: not self.runs or self.ready(), START_S, str(self.command))
            assert self.runs, f"{self.command} ended with {self.process.returncode}"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text(errors='replace')[-3000:]}") from None

    def kill(self) -> None:
        """kill -9, as in a crash: its children are left to themselves."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ask it and its children to end, and kill those that do not."""
        if not self.runs:
            return
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, END_S)
        for process in alive:
            process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Start servers one after another, and stop them in the other order."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        yield

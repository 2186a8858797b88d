"""Modules of artifacts as `phasecal.module` reads them, in processes that are forked and not started.

A start of JAX for each of 10⁵ cases would take days. Here one process imports JAX and forks another that reads modules,
each within the limits of the product, until one of them ends it; then it forks the next. It reads none itself, and has
no threads that a fork would lose.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import warnings
from functools import cache


def forked(module: bytes, dtype: str) -> tuple[int, str]:
    """Read a module (a `phasecal.module.Process`)."""
    server = _server()
    server.stdin.write(f"{len(module):9d}{dtype:>9}".encode() + module)
    server.stdin.flush()
    status, said = json.loads(server.stdout.readline())
    if status < 0:
        print(f"a module ended the process that read it ({signal.Signals(-status).name})", flush=True)
    return status, said


@cache
def _server() -> subprocess.Popen[bytes]:
    """Start the process that forks; it ends when this one does, because its input ends."""
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(server.communicate)  # waits: its processor time is that of the cases
    return server


def serve() -> None:
    """Answer for what ended the process that reads, and fork another, until the input ends."""
    from phasecal.module import be_silent, take_one_core

    take_one_core()
    import jax.export  # noqa: F401  # as in the product

    be_silent()
    warnings.filterwarnings("ignore", "os.fork")  # JAX warns of its threads, which compiling or reading would start
    while pid := os.fork():
        _, status = os.waitpid(pid, 0)
        if status == 0:
            return
        answer(os.waitstatus_to_exitcode(status), "")
    read_many()


def read_many() -> None:
    """Read modules from standard input, each within the limits."""
    from phasecal.module import read_within_limits

    with open(0, "rb", buffering=0) as requests:  # nothing is lost in a buffer when a module ends this process
        while head := requests.read(18):
            size, module = int(head[:9]), b""
            while len(module) < size:
                module += requests.read(size - len(module))
            answer(*read_within_limits(module, head[9:].decode().strip()))


def answer(status: int, said: str) -> None:
    """Write what became of a module."""
    os.write(1, json.dumps([status, said]).encode() + b"\n")


if __name__ == "__main__":
    serve()

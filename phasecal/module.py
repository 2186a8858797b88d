"""The serialised module in an artifact: what a process of its own can read is read, and nothing else.

MLIR, which JAX reads modules with, believes what it reads: a forged module can crash it or keep it for ever, and Python
can neither catch nor interrupt that. So a module that this installation has not read before is first read by

    python -m phasecal.module DTYPE < MODULE

within limits of time and memory. That takes the seconds of a start of JAX, once: modules that came through are
remembered in the cache of the user (:func:`phasecal.cache.cache_folder`), by their hash and the version of JAX.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from phasecal.bounded import printable
from phasecal.cache import cache_folder
from phasecal.errors import DataError, EngineError

if TYPE_CHECKING:
    from jax.export import Exported

HARMLESS_CALLS = {"shape_assertion"}
"""Custom calls that only check sizes, and are gone before anything is compiled."""
SECONDS, SECONDS_PER_BYTE, MAX_SECONDS = 2.0, 2e-5, 600.0
"""Processor time for reading a module, without the start of JAX; honest modules need less than a tenth."""
WAITING = 30
"""How many times that it may take by the clock, on a machine that does other things too."""
BYTES, BYTES_PER_BYTE = 2**30, 20
"""Memory for reading a module, beyond that of JAX: its text is longer than itself, and there several times."""
PASSED, REFUSED = 0, 3
"""Exit statuses of the process; Python itself ends with 1 and 2."""

_VECTORS, _ATOMS, _PAIRS = ("n_atoms", "width", "3"), ("n_atoms",), ("n_atoms", "width")
_SHAPES = [_VECTORS, _ATOMS, _PAIRS, _ATOMS, _VECTORS]
"""Of what a module takes, and of what it returns."""

Process = Callable[[bytes, str], tuple[int, str]]
"""Calls :func:`read_within_limits` in another process; returns what that returns, or the negative number of the signal
that ended it."""


def read_module(module: bytes, dtype: str) -> Exported:
    """Read a module in this process; nothing is compiled yet.

    Args:
        module: What ``jax.export`` serialised.
        dtype: Precision of vectors, energies and slopes.

    Raises:
        DataError: This JAX cannot read it, it takes or returns other arrays than an artifact does, or it has custom
            calls.
    """
    import jax  # noqa: PLC0415  # a remembered module is known without JAX
    from jax import export  # noqa: PLC0415  # the same

    try:
        function = export.deserialize(bytearray(module))
        text = function.mlir_module()
        arrays = [(tuple(map(str, each.shape)), each.dtype) for each in (*function.in_avals, *function.out_avals)]
    except Exception as error:  # whatever flatbuffers, MLIR or JAX make of a module they do not know
        raise DataError(
            f"JAX {jax.__version__} cannot read the module of the artifact ({printable(error, 200)}); export the model "
            "again with the version that runs it"
        ) from error
    real, whole = np.dtype(dtype), np.dtype(np.int32)
    if arrays != list(zip(_SHAPES, (real, whole, whole, real, real), strict=True)):
        raise DataError("the module takes or returns other arrays than an artifact does; export the model again")
    check_calls(text)
    return function


def check_calls(module: str) -> None:
    """Check that a module is pure StableHLO.

    Args:
        module: Its text.

    Raises:
        DataError: It has custom calls.
    """
    found = re.findall(r"custom_call(?: @([\w.]+))?", module)  # a name that is not plain is written in another way
    calls = {name or "a function without a plain name" for name in found} - HARMLESS_CALLS
    if calls:
        raise DataError(
            f"the module calls {printable(', '.join(sorted(calls)), 200)}, which other versions of JAX may not have; "
            "write it in plain operations (a 3×3 inverse by hand, say)"
        )


# --- in a process of its own


def check_module(module: bytes, dtype: str) -> None:
    """Check that a module can be read, in a process of its own unless it came through there before.

    Raises:
        DataError: It cannot; see :func:`try_module`.
        EngineError: The process did not start.
    """
    versions = f"jax {metadata.version('jax')} jaxlib {metadata.version('jaxlib')}\n"
    mark = cache_folder() / "modules" / hashlib.sha256(versions.encode() + module).hexdigest()
    with contextlib.suppress(OSError):  # a cache that cannot be read or written to costs the seconds again
        if mark.exists():
            return
    try_module(module, dtype, python_process)
    with contextlib.suppress(OSError):  # the same
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def try_module(module: bytes, dtype: str, process: Process) -> None:
    """Check that another process can read a module.

    Raises:
        DataError: :func:`read_module` refuses the module, ends the process, or takes more time than an honest module.
        EngineError: The process did not start.
    """
    status, said = process(module, dtype)
    if status == PASSED:
        return
    if status == REFUSED:
        raise DataError(printable(said))
    if status > 0:
        reason = printable((said.strip() or f"exit status {status}").splitlines()[-1], 200)
        raise EngineError(f"the process that reads modules of artifacts with {sys.executable} failed: {reason}")
    if -status in (signal.SIGPROF, signal.SIGALRM):
        found = f"takes more than {seconds(module):.3g} s to read it"
    else:
        found = f"ends with {signal.Signals(-status).name} while it reads it"
    raise DataError(f"the module of the artifact is damaged or forged: JAX {found}; export the model again")


def python_process(module: bytes, dtype: str) -> tuple[int, str]:
    """Read a module in a Python that is started for it (see :data:`Process`)."""
    command = [sys.executable, "-m", "phasecal.module", dtype]
    done = subprocess.run(command, input=module, capture_output=True, check=False)
    return done.returncode, (done.stdout or done.stderr).decode(errors="replace")


def read_within_limits(module: bytes, dtype: str) -> tuple[int, str]:
    """Read a module in this process, which the system ends where that takes too long.

    JAX is to be imported before. Returns the exit status and, with :data:`REFUSED`, why.
    """
    limit_memory(BYTES + BYTES_PER_BYTE * len(module))
    limit_time(seconds(module))
    try:
        read_module(module, dtype)
    except DataError as error:
        return REFUSED, str(error)
    return PASSED, ""


def seconds(module: bytes) -> float:
    """Return the processor time that reading a module may take."""
    return min(max(SECONDS, SECONDS_PER_BYTE * len(module)), MAX_SECONDS)


def limit_time(limit: float) -> None:
    """Have the system end this process after seconds of processor time, or :data:`WAITING` times that by the clock."""
    for timer, ending, factor in (
        (signal.ITIMER_PROF, signal.SIGPROF, 1),
        (signal.ITIMER_REAL, signal.SIGALRM, WAITING),
    ):
        signal.signal(ending, signal.SIG_DFL)
        signal.setitimer(timer, factor * limit)


def limit_memory(more: int) -> None:
    """Limit the memory of this process to what it has now and ``more`` bytes, where the system tells what it has."""
    status = Path("/proc/self/status")
    if found := re.search(r"VmData:\s+(\d+)", status.read_text(encoding="ascii") if status.exists() else ""):
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = 1024 * int(found[1]) + more
        resource.setrlimit(resource.RLIMIT_DATA, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def main(dtype: str) -> NoReturn:
    """Read a module from standard input, write why it is refused, and end with the status."""
    take_one_core()
    import jax.export  # noqa: F401, PLC0415  # what is imported before the limits is not counted

    be_silent()
    status, said = read_within_limits(sys.stdin.buffer.read(), dtype)
    os.write(1, said.encode(errors="replace"))
    os._exit(status)  # a reader that is broken may not be able to clean up


def take_one_core() -> None:
    """Use one core only: MLIR has a thread for each, and on a large node their stacks would be more than the limit."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {random.choice(sorted(os.sched_getaffinity(0)))})


def be_silent() -> None:
    """Leave neither a core dump nor what MLIR says about a module, at any length, on standard error."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    main(*sys.argv[1:])

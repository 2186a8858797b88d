"""A whole installation per test session: its own AIIDA_PATH, profile and daemon, used only through commands."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import end_all, processes_of

BIN = Path(sys.executable).parent


class Installation:
    """Runs phasecal and verdi as a user does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.environment = {
            **os.environ,
            "HOME": str(self.home),  # nothing of the user's own is read or written
            "AIIDA_PATH": str(folder),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }

    def start(self, program: str, *arguments: object) -> subprocess.Popen:
        """Start a command in a session of its own, so that it can be interrupted alone."""
        return subprocess.Popen(
            [str(BIN / program), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, program: str, *arguments: object, expect: int = 0, timeout: float = 600) -> str:
        """Run a command to its end, check its exit code and return what it printed."""
        process = self.start(program, *arguments)
        out, err = process.communicate(timeout=timeout)
        assert process.returncode == expect, f"{program} {arguments}: {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in out + err
        return out + err

    def json(self, *arguments: object) -> object:
        """Run a phasecal command with --json and return what it printed."""
        process = self.start("phasecal", *arguments, "--json")
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        return json.loads(out)

    def workers(self) -> list[int]:
        """Process ids of the daemon's workers of this installation."""
        out = subprocess.run(["pgrep", "-f", "daemon worker"], capture_output=True, text=True, check=False).stdout
        return [pid for pid in map(int, out.split()) if self.owns(pid)]

    def owns(self, pid: int) -> bool:
        """Say whether a process was started by the daemon of this installation."""
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
        return f"AIIDA_PATH={self.folder / '.aiida'}".encode() in environment  # AiiDA writes out what it was given

    def kill_workers(self) -> None:
        """kill -9 of every worker."""
        workers = self.workers()
        assert workers
        for pid in workers:
            os.kill(pid, signal.SIGKILL)

    def kill_daemon(self) -> None:
        """kill -9 of the daemon itself: its workers and its broker go on."""
        daemons = [process for process in processes_of(self.folder) if "start-circus" in process.cmdline()]
        assert daemons
        for daemon in daemons:
            daemon.kill()


@pytest.fixture(scope="session")
def installation(tmp_path_factory):
    """An initialised installation with a running daemon."""
    # Tests that run in the background of a shell ignore SIGINT, and so would every command; a user's terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = tmp_path_factory.mktemp("installation")
    made = Installation(folder)
    try:
        made.run("phasecal", "init")
        yield made
        made.run("verdi", "daemon", "stop")
    finally:
        end_all(folder)  # jobs of a test that failed
        shutil.rmtree(folder, ignore_errors=True)


def without_pks(data: object) -> object:
    """Plain data without what belongs to one database."""
    if isinstance(data, dict):
        return {key: without_pks(value) for key, value in data.items() if key != "pk"}
    return [without_pks(value) for value in data] if isinstance(data, list) else data


def tables(folder: Path) -> dict[str, list[list[str]]]:
    """The CSV tables of a report, without their columns of PKs."""
    found = {}
    for path in sorted(folder.rglob("*.csv")):
        rows = list(csv.reader(path.read_text(encoding="utf8").splitlines()))
        kept = [i for i, name in enumerate(rows[0]) if name != "pk"]
        found[path.name] = [[row[i] for i in kept] for row in rows]
    return found


@pytest.fixture(scope="session")
def check_import(installation):
    """Return a function that compares an imported campaign with the original."""

    def check(pk: int, archive: Path, folder: Path) -> None:
        """Import an archive into an empty profile in a folder: `query`, `show` and `report` say the same there."""
        other = type(installation)(folder)
        # what `phasecal init` does, short of a daemon, for which there is nothing to do
        other.run("verdi", "presto", "--use-zeromq", "-n", "--profile-name", "phasecal")
        other.run("verdi", "archive", "import", archive)
        (found,) = other.json("query")
        original = installation.json("show", pk)
        shown = other.json("show", original["uuid"])
        assert shown["pk"] == found["pk"]
        assert without_pks(shown) == without_pks(original)
        (entry,) = (entry for entry in installation.json("query") if entry["pk"] == pk)
        assert without_pks(found) == without_pks(entry)
        for place, name in ((installation, pk), (other, shown["uuid"])):
            place.run("phasecal", "report", name, "-o", f"archived-{pk}")  # a report leaves others' files in a folder
        assert tables(other.folder / f"archived-{pk}") == tables(installation.folder / f"archived-{pk}")
        assert tables(other.folder / f"archived-{pk}")

    return check

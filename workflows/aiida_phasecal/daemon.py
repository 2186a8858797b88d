"""Whether the daemon runs, and what a killed one leaves behind: workers and a broker that go on without it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from aiida.brokers.zeromq.service import ZeromqBrokerService

GRACE_S = 20.0
"""For a worker to store what it has in hand."""


def is_daemon_running() -> bool:
    """Say whether the daemon of the loaded profile runs: AiiDA's own property only asks whether it left a file."""
    from aiida.engine.daemon.client import get_daemon_client  # takes a second to load

    pid = get_daemon_client().get_daemon_pid()
    try:
        return pid is not None and "start-circus" in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def start_command() -> str:
    """The command that starts the daemon of the loaded profile."""
    from aiida.manage import get_manager

    return f"`phasecal init -p {get_manager().get_profile().name}`"


def end_orphans(profile: str) -> int:
    """End workers and broker of a profile whose daemon is gone; return how many processes there were.

    Beside those of a new daemon, a second worker would write to the same SQLite database, and the old broker would be
    used on, though nobody starts it again when it ends (seen with AiiDA 2.9.4). To be called while no daemon runs.
    """
    from aiida.manage.configuration import get_config

    orphans = list(_processes_of(profile, Path(get_config().dirpath)))
    for process in orphans:
        process.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=GRACE_S)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive)
    return len(orphans)


def forget_broker(profile: str) -> None:
    """Remove what a ZeroMQ broker that was killed wrote of itself. To be called while no broker of the profile runs.

    A worker that starts beside the new broker may read where the old one listened before that is written anew, and then
    waits there for ever (seen after a restart of the machine, AiiDA 2.9.4). Without the files it waits for the new one.
    """
    files = _broker_files(profile)
    for path in (files.sockets_file, files.pid_file, files.status_file):
        path.unlink(missing_ok=True)


def is_without_worker(profile: str, after_s: float) -> bool:
    """Say whether the ZeroMQ broker of a profile has run for ``after_s`` seconds and no worker takes tasks from it.

    So it is where both were killed at once, and the new worker was the first to be up: see `forget_broker`.
    """
    files = _broker_files(profile)
    try:
        age_s = time.time() - files.pid_file.stat().st_mtime
        return age_s > after_s and json.loads(files.status_file.read_text(encoding="utf8"))["task_subscribers"] == 0
    except (OSError, ValueError, KeyError):  # there is none, or it is just written
        return False


def _broker_files(profile: str) -> ZeromqBrokerService.FilepathLayout:
    """Where the ZeroMQ broker of a profile keeps its files."""
    from aiida.brokers.zeromq.service import ZeromqBrokerService
    from aiida.manage.configuration import get_config

    service = get_config().filepaths(get_config().get_profile(profile))["broker_service"]
    return ZeromqBrokerService.FilepathLayout(service["dir"])


def _processes_of(profile: str, folder: Path) -> Iterator[psutil.Process]:
    """Processes that a daemon of this profile, in this configuration folder, started."""
    log = str(folder / "daemon" / "log" / f"circus-{profile}.log")
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if log in words:  # circus' statistics
                yield process
            elif words[2:5] == ["-p", profile, "daemon"] and words[5:6] in (["worker"], ["broker"]):
                if process.environ().get("AIIDA_PATH") == str(folder):
                    yield process
        except psutil.Error:  # it ended meanwhile, or belongs to somebody else
            continue

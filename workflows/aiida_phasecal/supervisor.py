"""AiiDA's daemon, with a supervisor that nobody else can find (docs/adr/0037-a-supervisor-that-is-not-found.md).

As a program this is verdi, but that circus, which supervises the daemon, opens no socket for others to discover it.
"""

from __future__ import annotations

import sys

import circus.util
from aiida.cmdline.commands.cmd_verdi import verdi
from aiida.engine.daemon.client import DaemonClient


class Daemon(DaemonClient):
    """The daemon of a profile, which is started through this program."""

    def cmd_start_daemon(self, number_workers: int = 1, foreground: bool = False) -> list[str]:
        """Return the command that becomes the supervisor, also where no verdi is on the path."""
        words = ["-p", self.profile.name, "daemon", "start-circus", str(number_workers)]
        # -P: nothing of the folder that somebody is in is imported
        return [sys.executable, "-P", "-m", __name__, *words, *["--foreground"] * foreground]


def main() -> None:
    """Be verdi."""
    circus.util.DEFAULT_ENDPOINT_MULTICAST = ""  # AiiDA gives it no other, and where this is empty circus opens none
    verdi()


if __name__ == "__main__":
    main()

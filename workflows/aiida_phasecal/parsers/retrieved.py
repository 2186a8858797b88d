"""What came back from a computer: nothing in it is trusted."""

from __future__ import annotations

from aiida import orm
from aiida.repository import FileType

from phasecal.errors import DataError

WORDS_BYTES = 100_000
"""Of what a job printed: the error of an engine, or a traceback, is some lines at the end."""


def is_file(retrieved: orm.FolderData, name: str) -> bool:
    """Say whether there is a file, and not a folder, of this name."""
    return any(
        item.name == name and item.file_type == FileType.FILE for item in retrieved.base.repository.list_objects()
    )


def read_start(retrieved: orm.FolderData, name: str, limit: int) -> bytes:
    """The first bytes of a file, as many as ``limit`` at most and one more, which tells that it is longer.

    Raises:
        DataError: There is no such file.
    """
    if not is_file(retrieved, name):
        raise DataError(f"{name}: no such file")
    with retrieved.base.repository.open(name, "rb") as stream:
        return stream.read(limit + 1)


def last_words(job: orm.CalcJobNode, retrieved: orm.FolderData) -> str:
    """The end of what the program of a job, its shell and its scheduler printed."""
    names = (job.get_option("output_filename"), job.get_option("scheduler_stderr"))
    return "\n".join(read_end(retrieved, name, WORDS_BYTES) for name in names if name)


def read_end(retrieved: orm.FolderData, name: str, limit: int) -> str:
    """The last ``limit`` bytes of a text; empty when there is no such file."""
    if not is_file(retrieved, name):
        return ""
    with retrieved.base.repository.open(name, "rb") as stream:
        stream.seek(max(0, retrieved.base.repository.get_object_size(name) - limit))
        return stream.read(limit).decode(errors="replace")

"""What came back from a computer: nothing in it is trusted."""

from __future__ import annotations

from aiida import orm
from aiida.repository import FileType

from phasecal.errors import DataError


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

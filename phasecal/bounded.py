"""Reading what others wrote: files of strangers, and what comes back from a cluster.

Every reader here knows how much it may read before it begins, so that a damaged or hostile file costs no more time and
memory than an honest one of the same size (docs/topics/hostile-input.md has all limits). Nothing is unpickled, executed
or expanded: arrays are as long as the file says they are and the file has bytes for them. Whatever is wrong is an error
of the type that the caller names, a sentence that begins with the name of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from phasecal.errors import DataError, PhasecalError

JSON_BYTES = 20_000_000
"""Tasks and results: lists of some thousand parameters at most."""
POTENTIAL_BYTES = 100_000_000
"""A file of a potential in LAMMPS; setfl files have 1 to 10 MB."""
TEXT_BYTES = 1_000_000_000
"""Logs, dumps and extxyz files, which are read line by line."""
ARRAY_BYTES = 2_000_000_000
"""Samples, recorded parts of runs, and models."""
TENSOR_HEADER_BYTES = 10_000_000
"""The header of a safetensors file: one entry for each array, and the record of a model."""
MAX_ARRAYS = 10_000
MAX_LINE = 1_000_000
"""Characters of a line."""
MAX_INTEGER = 2**63
MAX_CUTOFF = 100.0
"""Å, of a potential; neighbour lists grow with its cube."""
MAX_MESSAGE = 500
"""Characters of foreign text in a message."""
MAX_PROBLEMS = 5000
"""Characters of a message that lists everything that is wrong with a task."""

Arrays = dict[str, NDArray[Any]]


def printable(text: object, limit: int = MAX_MESSAGE) -> str:
    """Return foreign text for a message or a terminal: no control characters, line ends kept, not too long."""
    kept = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text)[: limit + 1])
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"


def one_line(text: object, limit: int = MAX_MESSAGE) -> str:
    """Return foreign text as one line, such as the title of a campaign in an archive of somebody else."""
    return " ".join(printable(text, limit).split())


def checked_file(path: str | Path, limit: int, error: type[PhasecalError] = DataError) -> Path:
    """Return the path of a regular file of at most ``limit`` bytes.

    Raises:
        PhasecalError: There is none, of the type ``error``.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise error(f"{printable(path)}: cannot be read (no such file, or not a regular one)")
        size = path.stat().st_size
    except (OSError, ValueError) as wrong:  # ValueError: a NUL in the name
        raise error(f"{printable(path)}: cannot be read ({getattr(wrong, 'strerror', None) or wrong})") from wrong
    if size > limit:
        raise error(f"{path}: {size} bytes are too many; expected at most {limit}")
    return path


def read_lines(path: str | Path, error: type[PhasecalError] = DataError, limit: int = TEXT_BYTES) -> Iterator[str]:
    """Yield the lines of a text, each with its line end; bytes that are not UTF-8 become replacement characters.

    Raises:
        PhasecalError: It cannot be read, of the type ``error``.
    """
    path = checked_file(path, limit, error)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            while line := file.readline(MAX_LINE):
                if len(line) == MAX_LINE:
                    raise error(f"{path}: a line of more than {MAX_LINE} characters; is it a text?")
                yield line
    except OSError as wrong:
        raise error(f"{path}: cannot be read ({wrong.strerror or wrong})") from wrong


def read_json(file: str | Path | bytes, error: type[PhasecalError] = DataError, name: str = "") -> dict[str, Any]:
    """Return the object of a JSON file, or of its content: all numbers finite, integers of 64 bits.

    Raises:
        PhasecalError: It is none, of the type ``error``.
    """
    content, name = (file, name) if isinstance(file, bytes) else (b"", str(file))
    if not isinstance(file, bytes):
        try:
            content = checked_file(file, JSON_BYTES, error).read_bytes()
        except OSError as wrong:
            raise error(f"{name}: cannot be read ({wrong.strerror or wrong})") from wrong
    if len(content) > JSON_BYTES:
        raise error(f"{name}: {len(content)} bytes are too many; expected at most {JSON_BYTES}")
    try:
        data = json.loads(content.decode(), parse_float=_finite, parse_constant=_finite, parse_int=_integer)
    except (ValueError, RecursionError) as wrong:  # ValueError: also of JSON and UTF-8
        raise error(f"{name}: not a JSON file ({printable(wrong, 100)})") from wrong
    if not isinstance(data, dict):
        raise error(f"{name}: expected a JSON object, got {type(data).__name__}")
    return data


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is not finite")
    return value


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) >= MAX_INTEGER:
        raise ValueError(f"the number {text[:20]} is too large")
    return int(text)


def read_npz(file: str | Path | IO[bytes], error: type[PhasecalError] = DataError) -> Arrays:
    """Return all arrays of an npz file as ``numpy.savez`` writes it: not compressed, so that it cannot be a bomb.

    Raises:
        PhasecalError: It is not one, is truncated, or holds objects; of the type ``error``.
    """
    try:
        name = str(checked_file(file, ARRAY_BYTES, error) if isinstance(file, str | Path) else "npz file")
        arrays = {}
        with ZipFile(file) as archive:
            for member in plain_members(archive):
                with archive.open(member) as stream:
                    arrays[member.filename.removesuffix(".npy")] = read_npy(stream, member.file_size)
        return arrays
    except PhasecalError:
        raise
    except Exception as wrong:  # whatever zipfile and numpy make of bytes that are not theirs
        _refuse(error, f"{name}: not a readable npz file", wrong)


def plain_members(archive: ZipFile) -> list[ZipInfo]:
    """Return the members of an open zip file in which each has bytes of its own, not compressed.

    Raises:
        ValueError: One is compressed, there are too many, or they overlap.
    """
    members = archive.infolist()
    if len(members) > MAX_ARRAYS or any(member.compress_type != ZIP_STORED for member in members):
        raise ValueError("compressed, or too many arrays; expected what numpy.savez writes")
    if any(member.compress_size != member.file_size for member in members):
        raise ValueError("a member of two lengths")
    if sum(member.file_size for member in members) > archive.start_dir:  # where the list of members begins
        raise ValueError("its members are together longer than the file")
    return members


def read_npy(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Return the array at the place where a stream is, without pickle.

    Args:
        stream: A file that can seek.
        size: Bytes up to the end of the array, or of the file.

    Raises:
        ValueError: Its shape needs more bytes than there are; or it is no array.
    """
    start = stream.tell()
    version = np.lib.format.read_magic(stream)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise ValueError(f"an array in version {version} of the format; expected 1.0 or 2.0")
    try:
        shape, _, dtype = header(stream)
    except Exception as wrong:  # numpy reads a header as Python, and raises also what its tokenizer does
        raise ValueError(f"an array without a header ({printable(wrong, 100)})") from wrong
    needed = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or not dtype.itemsize or min(shape, default=0) < 0 or needed > size - (stream.tell() - start):
        raise ValueError(f"an array of {dtype}, shape {shape}, in {size} bytes")
    stream.seek(start)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def read_tensors(path: str | Path, key: str, error: type[PhasecalError] = DataError) -> tuple[dict[str, Any], Arrays]:
    """Return the JSON record in the header of a safetensors file, and its arrays.

    Args:
        path: The file.
        key: Of the record among the metadata.
        error: Type of the error.

    Raises:
        PhasecalError: It is not such a file, of the type ``error``.
    """
    path = checked_file(path, ARRAY_BYTES, error)
    try:
        with path.open("rb") as file:
            if int.from_bytes(file.read(8), "little") > TENSOR_HEADER_BYTES:
                raise ValueError(f"its header is longer than {TENSOR_HEADER_BYTES} bytes")
        with safe_open(str(path), framework="np") as tensors:
            if (text := (tensors.metadata() or {}).get(key)) is None:
                raise ValueError(f"its header has no entry {key}")
            record = read_json(text.encode(), error, name=f"{path}: {key}")
            return record, {name: tensors.get_tensor(name) for name in tensors.keys()}
    except PhasecalError:
        raise
    except Exception as wrong:  # whatever safetensors makes of bytes that are not its own
        _refuse(error, f"{path}: not a readable safetensors file of phasecal", wrong)


def _refuse(error: type[PhasecalError], what: str, wrong: Exception) -> NoReturn:
    """Raise an error with the words of a library behind it."""
    raise error(f"{what} ({printable(wrong, 200) or type(wrong).__name__})") from wrong

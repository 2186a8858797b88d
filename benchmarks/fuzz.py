"""Damaged and hostile input for every parser: `python benchmarks/fuzz.py PARSER|all [N] [FIRST]`.

Each case is a valid example with one to four changes, made from a seed that is its number: bytes flipped, cut out or
doubled, numbers replaced by huge, negative and non-finite ones, words by what shells, terminals and spreadsheets obey,
shapes and types of arrays changed. A case may take 2 s of processor time and 1 GiB; it is accepted, refused by an error
of phasecal/errors.py, or a bug. Bugs are printed and kept in FOLDER (default: /tmp/phasecal-fuzz). Many cases run in
one process, which is replaced when one of them ends it. SIGTERM (or Ctrl-C) ends a run with the line of the table for
the cases that were done; FIRST goes on from there. docs/results/hostile-input.md has the table of a long run.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from fuzz_targets import TARGETS, Files, Target

from phasecal.bounded import read_npy
from phasecal.errors import PhasecalError
from phasecal.module import limit_memory

SECONDS = 2
PATIENCE = 10
"""Seconds of processor time after which the process of a case that does not return to Python ends by SIGXCPU (-24)."""
GIBIBYTE = 2**30
BUGS = Path(os.environ.get("FOLDER", "/tmp/phasecal-fuzz"))
NUMBERS = [
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "-0",
    "1e999",
    "1e308",
    "1e-320",
    "9" * 19,
    "9" * 5000,
    "1_0",
    "²",
    "+5",
    "",
]
NUMBERS += ["1e9", "1000000000", "2147483648", "0x10", "1.5", "3", "7"]
WORDS = [
    "$(id)",
    "`id`",
    "; id",
    "&& id",
    "'",
    '"',
    "<script>alert(1)</script>",
    "=1+1",
    "@x",
    "../../x",
    "/etc/passwd",
]
WORDS += [
    "\x1b[31m",
    "\x9b31m",
    "\u202e",
    "\u2028",
    "\x00",
    "\r\n",
    "{{}}",
    "%s",
    "null",
    "[]",
    "{}",
    "!!python/name:x",
]
WORDS += ["Cu", "W", "X", "é", "\ud800", "a" * 300, "[" * 2000, "_JSON [1]", "VEC1 1 2 3", "&a", "*a", "<<: *a", "~"]
DTYPES = ["<f8", "<f4", ">f8", "<i8", "<i4", "|b1", "<U4", "|S3", "<c16", "|O", "<m8[s]", "|V0", "|u1"]


class TooLong(BaseException):
    """More than the time of a case: no parser catches it."""


def change_text(data: bytes, rng: random.Random) -> bytes:
    """Change a text at one place."""
    lines = data.splitlines(keepends=True) or [b""]
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    words = list(re.finditer(rb"[^\s,:\[\]{}\"'=]+", data))
    numbers = [word for word in words if re.fullmatch(rb"[-+.\deE]+", word[0])]
    match rng.randrange(10):
        case 0:
            return change_bytes(data, rng)
        case 1:
            lines[i] = lines[i] * rng.choice([2, 3, 50])
        case 2:
            lines[i], lines[j] = lines[j], lines[i]
        case 3:
            del lines[min(i, j) : max(i, j) if rng.random() < 0.3 else min(i, j) + 1]
        case 4 | 5 | 6 if numbers:
            return replaced(data, rng.choice(numbers), rng.choice(NUMBERS))
        case 7 | 8 if words:
            return replaced(data, rng.choice(words), rng.choice(WORDS + NUMBERS))
        case _:
            lines.insert(i, lines[j])
    return b"".join(lines)


def replaced(data: bytes, word: re.Match[bytes], by: str) -> bytes:
    """Replace a word."""
    return data[: word.start()] + by.encode(errors="surrogatepass") + data[word.end() :]


def change_bytes(data: bytes, rng: random.Random) -> bytes:
    """Change bytes at one place."""
    at, length = rng.randrange(len(data) + 1), rng.choice([1, 1, 2, 8, 100])
    match rng.randrange(5):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + rng.randbytes(length) + data[at + length :]
        case 2:
            return data[:at] + data[at + length :]
        case 3:
            return data[:at] + data[max(0, at - length) : at] * rng.choice([2, 10]) + data[at:]
        case _:
            return data[:at] + bytes([rng.choice([0, 255, 127, 10, 44])]) * length + data[at + length :]


def change_npy(data: bytes, rng: random.Random) -> bytes:
    """Change an array, or what its header says about it."""
    array = read_npy(io.BytesIO(data), len(data))  # numpy's own reader hangs at what an earlier change may have left
    stream = io.BytesIO()
    match rng.randrange(6):
        case 0 if array.size:
            array = array.copy()
            values = [0, 1, -1, 10**9] if array.dtype.kind in "iu" else [np.nan, np.inf, 0, -1e30, 1e-30]
            if array.dtype.kind in "iuf":
                array.reshape(-1)[rng.randrange(array.size)] = rng.choice(values)
        case 1:
            array = array[..., None] if rng.random() < 0.5 else array.reshape(-1)
        case 2:
            array = array[: rng.randrange(len(array) + 1)] if array.ndim else array.reshape(1)
        case 3 if array.dtype.kind in "iuf":
            with np.errstate(all="ignore"):
                array = array.astype(rng.choice([t for t in DTYPES if t not in ("|V0", "<m8[s]")]))
        case 4:
            dtype, shape = (
                rng.choice(DTYPES),
                rng.choice([(10**12,), (2**62, 4), (-1,), (), (0,), (2**40, 0), array.shape]),
            )
            header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
            return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data[128:]
        case _:
            return change_bytes(data, rng)
    np.save(stream, array)
    return stream.getvalue()


def change_zip(data: bytes, rng: random.Random) -> bytes:
    """Change an npz or zip file: one member, its name or compression, or the bytes of the archive."""
    if rng.random() < 0.2:
        return change_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    what = rng.random()
    if what < 0.1:
        del members[name]
    elif what < 0.2:
        members[rng.choice(["../x.npy", "x" * 300, "", "a.npy"])] = members.pop(name)
    else:
        members[name] = change(name, members[name], rng)
    stream = io.BytesIO()
    kind = zipfile.ZIP_STORED if rng.random() < 0.9 else rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for key, content in members.items():
            archive.writestr(key or "-", content)
    return stream.getvalue()


def change_tensors(data: bytes, rng: random.Random) -> bytes:
    """Change a safetensors file: what its header says, the record in it, or its bytes."""
    if rng.random() < 0.2:
        return change_bytes(data, rng)
    size = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + size], data[8 + size :]
    if rng.random() < 0.2:
        header = change_text(header, rng)
    else:
        content = json.loads(header)
        key = rng.choice(["__metadata__", *content])
        if key == "__metadata__":
            inner = rng.choice(list(content[key]))
            changed = change_text(content[key][inner].encode(), rng)
            content[key][inner] = changed.decode(errors="replace")
        else:
            match rng.randrange(4):
                case 0:
                    del content[key]
                case 1:
                    content[key]["shape"] = rng.choice([[2**62], [], [1, *content[key]["shape"]], [0]])
                case 2:
                    content[key]["dtype"] = rng.choice(["F64", "F32", "BF16", "I64", "BOOL", "F8_E4M3", "X"])
                case _:
                    rest = change_bytes(rest, rng)[: len(rest)].ljust(len(rest), b"\xff")
        header = json.dumps(content).encode()
    return len(header).to_bytes(8, "little") + header + rest


def change(name: str, data: bytes, rng: random.Random) -> bytes:
    """Change a file by its kind."""
    for end, how in (
        (".npy", change_npy),
        (".npz", change_zip),
        (".zip", change_zip),
        (".safetensors", change_tensors),
        (".bin", change_bytes),
    ):
        if name.endswith(end):
            return how(data, rng)
    return change_text(data, rng)


def make_case(files: Files, changeable: list[str], seed: str) -> Files:
    """Return the files of a case."""
    rng = random.Random(seed)
    changed = dict(files)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
        name = rng.choice(changeable)
        try:
            changed[name] = change(name, changed[name], rng)
        except Exception:  # what an earlier change left has no structure
            changed[name] = change_bytes(changed[name], rng)
    return changed


def run_case(parse: Callable[[Path], object], folder: Path) -> str:
    """Return ``accepted``, ``refused``, or the description of a bug."""
    before = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        parse(folder)
    except PhasecalError as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        if not str(error).strip() or any(not (c.isprintable() or c == "\n") for c in str(error)):
            return f"unprintable message {str(error)!a:.200}"
        return "refused"
    except TooLong:
        return f"hang: more than {SECONDS} s"
    except BaseException as error:  # this is what is looked for
        signal.setitimer(signal.ITIMER_PROF, 0)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "phasecal" in f.filename][-1]
        where = f"{Path(ours.filename).name}:{ours.lineno} in {ours.name}; {Path(frame.filename).name}:{frame.lineno}"
        return f"{type(error).__name__}: {str(error)!a:.100} at {where}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "accepted" if time.process_time() - before < SECONDS else f"hang: more than {SECONDS} s"


def prepare(target: Target, home: Path) -> list[Files]:
    """Return the examples of a parser, all of which it accepts; what it needs is imported then."""
    examples = target.examples(home)
    for files in examples:
        write(home, files)
        target.parse(home)
    signal.signal(signal.SIGPROF, too_long)
    return examples


def too_long(*_: object) -> None:
    """End a case."""
    raise TooLong


def work(parser: str, home: Path, first: int, last: int, at, counts) -> None:
    """Run cases in this process, with their files in a folder; ``at`` is the present one."""
    target = TARGETS[parser]
    examples = prepare(target, home)
    limit_memory(GIBIBYTE)
    for case in range(first, last):
        at.value = case
        files = examples[case % len(examples)]
        changed = make_case(files, target.changeable(files), f"{parser}:{case}")
        write(home, changed)
        limit = int(time.process_time()) + PATIENCE  # of C code, which the timer of a case does not reach
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        outcome = run_case(target.parse, home)
        if outcome in ("accepted", "refused"):
            counts[outcome == "refused"] += 1
        else:
            counts[2] += 1
            print(f"{parser} {case}: {outcome}", flush=True)
            shutil.copytree(home, BUGS / parser / str(case), dirs_exist_ok=True)
    at.value = last


def write(home: Path, files: Files) -> None:
    """Write the files of a case."""
    for name, content in files.items():
        (home / name).write_bytes(content)


def fuzz(parser: str, n: int, first: int) -> None:
    """Run cases of one parser and print a line of the table."""
    context = multiprocessing.get_context("spawn")
    at, counts = context.Value("q", first), context.Array("q", 3)
    start, before, stopped = time.monotonic(), cpu_seconds(), False
    memory = "/dev/shm" if Path("/dev/shm").exists() else None
    with tempfile.TemporaryDirectory(prefix="phasecal-fuzz-", dir=memory) as home:
        while at.value < first + n and not stopped:
            process = context.Process(target=work, args=(parser, Path(home), at.value, first + n, at, counts))
            process.start()
            try:
                process.join()
            except KeyboardInterrupt:
                process.terminate()
                process.join()
                stopped = True
            if process.exitcode and at.value < first + n and not stopped:
                print(f"{parser} {at.value}: ended the process ({process.exitcode})", flush=True)
                counts[2] += 1
                at.value += 1
                if sum(counts) < 2:
                    break
    (accepted, refused, bugs), cpu = counts, cpu_seconds() - before
    wall = time.monotonic() - start
    print(f"| {parser} | {sum(counts)} | {refused} | {accepted} | {bugs} | {cpu:.0f} | {wall:.0f} |", flush=True)
    if stopped:
        sys.exit(f"stopped; go on from {first + sum(counts)}")


def cpu_seconds() -> float:
    """Processor time of the workers that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}  # of the workers
    chosen = list(TARGETS) if sys.argv[1] == "all" else [sys.argv[1]]
    for name in chosen:
        fuzz(name, int(sys.argv[2]) if len(sys.argv) > 2 else 1000, int(sys.argv[3]) if len(sys.argv) > 3 else 0)

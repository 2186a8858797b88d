"""A campaign as one file: an AiiDA archive with everything its result came from, and a README inside.

The archive holds the campaign, all processes below it, their data, logs and codes, and where its models came from
(AiiDA's rules of export). Anyone with AiiDA can import it, or open it as it is. It is a zip file, to which a README is
added: AiiDA does not look at it, so it is read from the file and not from a database that imported it.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from aiida import orm
from aiida.manage import get_manager
from aiida.tools.archive import create_archive
from aiida.tools.archive.create import EXPORT_LOGGER
from aiida.tools.graph.graph_traversers import get_nodes_export

from aiida_phasecal.cli.common import in_campaign_units, interval
from aiida_phasecal.record import state_of, summarise
from phasecal.bounded import one_line
from phasecal.errors import InputError

README = "README.md"
LEVEL = 6
"""Of compression; AiiDA's own default."""
CHUNK = 64 * 1024
SAMPLED, FEW = 4, 64
"""One of so many chunks of the files is compressed to tell what all will take; each of them where there are few."""
BYTES_PER_NODE = 500.0
"""Of the compressed database, measured: 460 to 510 for campaigns of 120 to 370 nodes."""
BYTES_PER_FILE = 250.0
"""Headers and name of a file in the archive."""


@dataclass(frozen=True)
class Contents:
    """What an archive holds, and what it will take.

    Attributes:
        nodes: Nodes of the provenance graph.
        files: Different files of these nodes.
        raw_bytes: Size of the files as they are.
        estimate_bytes: Size of the archive.
        sigma_bytes: Standard error of the estimate, from the spread of the compression.
    """

    nodes: int
    files: int
    raw_bytes: int
    estimate_bytes: int
    sigma_bytes: int


def contents_of(node: orm.WorkChainNode) -> Contents:
    """Find what belongs to a campaign, and estimate the size of its archive without writing it.

    Raises:
        InputError: The campaign is running.
    """
    if state_of(node) == "running":
        raise InputError(
            f"campaign {node.pk} is running; an archive holds what does not change any more: wait for its end "
            f"(`phasecal status {node.pk} --watch`) or end it (`verdi process kill {node.pk}`)"
        )
    nodes = get_nodes_export([node.pk])["nodes"]
    keys = set(orm.Node.get_collection(node.backend).iter_repo_keys(filters={"id": {"in": list(nodes)}}))
    raw, n_chunks, pairs = 0, 0, {}
    for i, chunk in enumerate(chunks_of(sorted(keys))):
        raw, n_chunks = raw + len(chunk), i + 1
        if i % SAMPLED == 0 or i < FEW:
            pairs[i] = len(chunk), len(zlib.compress(chunk, LEVEL))
    step = 1 if n_chunks <= FEW else SAMPLED
    ratio, sigma = compression([pair for i, pair in pairs.items() if i % step == 0], 1 / step)
    rest = BYTES_PER_NODE * len(nodes) + BYTES_PER_FILE * len(keys)
    return Contents(len(nodes), len(keys), raw, round(ratio * raw + rest), math.ceil(sigma * raw))


def chunks_of(keys: list[str]) -> Iterator[bytes]:
    """All files with these keys in the repository of the profile, cut into pieces."""
    repository = get_manager().get_profile_storage().get_repository()
    for _, stream in repository.iter_object_streams(keys):
        while chunk := stream.read(CHUNK):
            yield chunk


def compression(pairs: list[tuple[int, int]], share: float) -> tuple[float, float]:
    """Compressed over raw size of a population of chunks from a sample, and its standard error.

    The ratio estimator for sampling without replacement (Cochran, Sampling Techniques, section 6.4).

    Args:
        pairs: Raw and compressed size of each sampled chunk.
        share: Which part of all chunks they are.
    """
    raw = sum(size for size, _ in pairs)
    if not raw:
        return 0.0, 0.0
    ratio = sum(small for _, small in pairs) / raw
    squares = sum((small - ratio * size) ** 2 for size, small in pairs)
    return ratio, math.sqrt((1 - share) * squares * len(pairs) / max(len(pairs) - 1, 1)) / raw


def write_archive(node: orm.WorkChainNode, path: Path) -> None:
    """Write the archive of a campaign.

    Raises:
        InputError: There is such a file already.
    """
    if path.exists():
        raise InputError(f"{path} exists already; name another file")
    text = readme(node, path.name)
    level = EXPORT_LOGGER.level
    EXPORT_LOGGER.setLevel("ERROR")  # what AiiDA reports here goes to the log; the command prints its own summary
    try:
        create_archive([node], filename=path, compression=LEVEL)
    finally:
        EXPORT_LOGGER.setLevel(level)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(README, text)


TEXT = """\
# {title}

The record of a phasecal campaign ({task}, {state}), launched {date}: every model version, trajectory and
number, and how each came from the others. It is an AiiDA archive, written with {packages}.

| boundary | P{gpa} | T ± σ{kelvin} | target{kelvin} | method |
|---|---|---|---|---|
{rows}

Model {model}. σ is one standard uncertainty.

## To open it

Into a profile of your own, which makes it a part of your record:

    pip install 'phasecal[aiida]'
    phasecal init
    verdi archive import {name}
    phasecal show {uuid}
    phasecal report {uuid} -o report

Or as it is, without copying anything (`-p look` in every command, the profile you work with stays the default):

    verdi profile setup core.sqlite_zip -n --profile-name look --no-set-as-default --filepath {name}
    phasecal show -p look {uuid}

PKs are numbers of one database and are others in yours; the UUID above stays.
"""


def markdown(text: str) -> str:
    """A user's words as text in Markdown, also in the cell of a table."""
    return re.sub(r"([\\`*_\[\]|#<>&!])", r"\\\1", one_line(text))


def readme(node: orm.WorkChainNode, name: str) -> str:
    """What the archive is, what it says, and how to open it."""
    summary = summarise(node)
    shown, kelvin, gpa, digits = in_campaign_units(summary)
    rows = [
        f"| {markdown('–'.join(entry['phases']))} | {entry['pressure_gpa']:g} "
        f"| {interval(entry['temperature_k'], entry['sigma_k'], digits)} "
        f"| {interval(entry['target_k'], entry['target_sigma_k'], digits)} | {entry['method'] or '–'} |"
        for entry in shown["boundaries"]
    ]
    return TEXT.format(
        title=markdown(node.label),
        task=summary["task"],
        state=summary["state"],
        date=f"{node.ctime:%Y-%m-%d}",
        packages=", ".join(f"{package} {version(package)}" for package in ("phasecal", "aiida-core")),
        kelvin=kelvin,
        gpa=gpa,
        rows="\n".join(rows),
        model=summary["model"]["hash"],
        name=name,
        uuid=node.uuid,
    )

"""Pages of the reference that are made from the code whenever the site is built; they are not in the repository."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

from aiida.engine import CalcJob, PortNamespace, WorkChain
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from phasecal.campaign.schema import Campaign
from phasecal.report.data import Summary

FOLDER = Path(__file__).parent / "reference" / "generated"


def write() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in (("campaign-keys", campaign_keys()), ("processes", processes()), ("show-schema", show_schema())):
        (FOLDER / f"{name}.md").write_text(text, encoding="utf8")


def campaign_keys() -> str:
    """Every key of a campaign file, section by section."""
    head = (
        "# Keys of a campaign file\n\nWhat `phasecal validate` expects, from the classes that check it; "
        "explanations are in [campaign file](../campaign.md), numbers of protocols in [protocols](../protocols.md). "
        "A default is in K, GPa or Å where the key has a unit.\n"
    )
    return "\n".join([head, *(section_table(section) for section in sections(Campaign))])


def sections(first: type[BaseModel]) -> list[type[BaseModel]]:
    """A section and all sections below it, each once, in the order in which they appear."""
    found = [first]
    for section in found:
        inner = (part for field in section.model_fields.values() for part in models_in(field.annotation))
        found += [part for part in dict.fromkeys(inner) if part not in found]
    return found


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def section_table(section: type[BaseModel]) -> str:
    """What a section is, and a row for each of its keys."""
    title = " ".join(part.lower() for part in re.findall("[A-Z][a-z]+", section.__name__))
    rows = [
        f"| `{field.alias or name}` | {default_of(field)} | {cell(field.description or '')} |"
        for name, field in section.model_fields.items()
    ]
    head = f"## {title}\n\n{first_line(section)}\n\n| key | default | expected |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def first_line(documented: type) -> str:
    """The first sentence of a class."""
    return (documented.__doc__ or "").partition("\n")[0].partition(";")[0].rstrip(".") + "."


def default_of(field: FieldInfo) -> str:
    """The default of a key as a cell; a section that may be left out has none to show."""
    if field.is_required():
        return "needed"
    default = field.get_default(call_default_factory=True)
    return "" if default is None or isinstance(default, BaseModel) else f"`{json.dumps(default)}`"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", r"\|").replace("\n", " ")


def processes() -> str:
    """Inputs and outputs of every job and work chain; what AiiDA gives each of its processes is left out."""
    parts = [
        "# Ports of jobs and work chains\n",
        "Inputs and outputs beside those that every process of AiiDA has. "
        "Their exit codes are in [exit codes](../exit-codes.md).\n",
    ]
    for group, base in (("aiida.calculations", CalcJob), ("aiida.workflows", WorkChain)):
        for point in sorted(entry_points(group=group), key=lambda point: point.name):
            if point.name.startswith("phasecal."):
                process = point.load()
                parts.append(f"## {point.name}\n\n{first_line(process)} (`{point.value}`)\n")
                for title in ("inputs", "outputs"):
                    rows = port_rows(getattr(process.spec(), title), getattr(base.spec(), title))
                    parts.append(f"| {title} | type | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def port_rows(ports: PortNamespace, known: Container[str] = (), prefix: str = "") -> list[str]:
    """A row for each port that is not known, those of namespaces with the names of both."""
    rows = []
    for name, port in ports.items():
        if name in known:
            continue
        inner = isinstance(port, PortNamespace)
        types = port.valid_type if isinstance(port.valid_type, tuple) else (port.valid_type,)
        kinds = ", ".join(kind.__name__ for kind in types if kind not in (None, type(None)))
        many = ", any number by name" if inner and port.dynamic else ""
        optional = "" if port.required else ", optional"
        rows.append(f"| `{prefix}{name}` | {kinds}{many}{optional} | {cell(port.help or '')} |")
        if inner:
            rows += port_rows(port, prefix=f"{prefix}{name}.")
    return rows


def show_schema() -> str:
    """The JSON schema of what a report reads of `phasecal show --json`."""
    schema = json.dumps(Summary.model_json_schema(), indent=1, ensure_ascii=False)
    return (
        "# JSON schema of `phasecal show --json`\n\nWhat a report reads of it, from the classes that check it. "
        f"All keys are explained in [the contract](../show-json.md).\n\n```json\n{schema}\n```\n"
    )

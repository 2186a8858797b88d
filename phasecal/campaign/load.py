"""Reading a campaign file, with everything that is wrong in it found at once."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from phasecal.campaign.context import Context
from phasecal.campaign.document import CampaignErrors, Document, KeyPath, Problem, key_text, read_document
from phasecal.campaign.fields import Section
from phasecal.campaign.schema import Campaign
from phasecal.campaign.sources import resolve_source
from phasecal.errors import InputError
from phasecal.potentials.setfl import Setfl, read_setfl

SectionT = TypeVar("SectionT", bound=Section)

_WRONG = {
    "missing": "missing key",
    "extra_forbidden": "unknown key",
    "greater_than": "not above {gt:g}",
    "greater_than_equal": "below {ge:g}",
    "less_than": "not below {lt:g}",
    "less_than_equal": "above {le:g}",
    "too_short": "too few entries",
    "too_long": "too many entries",
    "string_too_short": "empty",
    "string_too_long": "too long",
    "string_pattern_mismatch": "unusable characters",
    "literal_error": "not a known value",
    "fault": "{wrong}",
}
"""What is wrong, by pydantic's type of error; any other type means that the kind of value is wrong."""

_FAMILY_MARKS = ("[eam]", "[lammps]", "[lj]", "[mace]", "[moment-network]", "[nequix]")
"""How pydantic marks which section a model was judged by."""

MAX_PROBLEMS = 200
"""Errors that are shown."""
_MAX_VALUE = 60
"""Characters of a wrong value that are repeated to the user."""


def load_campaign(
    path: str | Path, *, task: str = "calibrate", protocol: str | None = None, computer: str | None = None
) -> Campaign:
    """Read and check a campaign file.

    Args:
        path: The YAML file.
        task: One of :data:`phasecal.campaign.context.TASKS`; tasks need different keys.
        protocol: Name of a protocol that replaces the file's; numbers changed in the file stay changed.
        computer: Label of a computer that replaces the file's.

    Raises:
        CampaignErrors: The file is missing, not plain YAML, or breaks the rules; all errors found.
    """
    document = read_document(path)
    data = _with_replacements(document.data, protocol, computer)
    phases = data.get("phases")
    model = data["model"] if isinstance(data.get("model"), dict) else {}
    context = Context(
        task=task,
        phases=_mappings(phases),
        source=_read_source(model, Path(path).parent),
        family=_word(model.get("family")),
        folder=Path(path).parent,
        units=_word(data.get("units")),
    )
    try:
        return Campaign.model_validate(data, context=context)
    except ValidationError as error:
        raise campaign_errors(error, Document(document.file, data, document.lines)) from None


def _with_replacements(data: dict[str, Any], protocol: str | None, computer: str | None) -> dict[str, Any]:
    """Return the content of the file with protocol and computer replaced."""
    data = dict(data)
    if protocol is not None:
        changes = data.get("protocol")
        data["protocol"] = {**(changes if isinstance(changes, dict) else {}), "name": protocol}
    if computer is not None:
        resources = data.get("resources", {})
        data["resources"] = {**resources, "computer": computer} if isinstance(resources, dict) else resources
    return data


def _mappings(phases: Any) -> dict[str, dict[str, Any]]:
    """Return the phases with an empty mapping for everything that is not one."""
    entries = phases.items() if isinstance(phases, dict) else ()
    return {name: entry if isinstance(entry, dict) else {} for name, entry in entries}


def _word(value: Any) -> str | None:
    """Return a text, and None for everything that is not one."""
    return value if isinstance(value, str) else None


def _read_source(model: dict[str, Any], folder: Path) -> tuple[Path, Setfl] | InputError | None:
    """Return the potential file and its content, or why it cannot be used; None when the model is its parameters."""
    source = model.get("source")
    if not isinstance(source, str) or model.get("family") in ("lj", "lammps", "mace", "moment-network", "nequix"):
        return None
    try:
        path = resolve_source(source, folder)
        return path, read_setfl(path)
    except InputError as error:
        return error


def load_section(path: str | Path, root: type[SectionT]) -> SectionT:
    """Read and check a file that is not a campaign, but written and checked like one.

    Raises:
        CampaignErrors: The file is missing, not plain YAML, or breaks the rules; all errors found.
    """
    document = read_document(path)
    try:
        return root.model_validate(document.data)
    except ValidationError as error:
        raise campaign_errors(error, document, root) from None


def campaign_errors(error: ValidationError, document: Document, root: type[Section] = Campaign) -> CampaignErrors:
    """Return all that is wrong with a file; of a file that is no campaign at all the beginning of it."""
    return CampaignErrors([problem_of(details, document, root) for details in error.errors()[:MAX_PROBLEMS]])


def problem_of(details: ErrorDetails, document: Document, root: type[Section] = Campaign) -> Problem:
    """Put one error of pydantic into words a user can act on; ``root`` is the schema of the file."""
    kind = details["type"]
    marked = tuple(part for part in details["loc"] if part != "[key]")  # pydantic marks names of a mapping
    path = tuple(part for part in marked if part not in _FAMILY_MARKS)
    context: dict[str, Any] = details.get("ctx", {})
    wrong = _WRONG.get(kind, "wrong kind of value").format_map(context)
    expected = context.get("expected") if kind == "fault" else None
    if kind == "extra_forbidden":
        expected = _known_keys(marked, root)
    message = f"{wrong}; expected {expected or _description(marked, root)}"
    if kind != "extra_forbidden":
        message += _got(path, document)
    return Problem(document.file, document.line(path), key_text(path), message)


def _got(path: KeyPath, document: Document) -> str:
    """Return the value that is wrong, when it is short enough to help."""
    try:
        value = document.value(path)
    except (LookupError, TypeError):
        return ""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return f" (got {text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + '…'})"


def _description(path: KeyPath, root: type[Section]) -> str:
    """Return what is expected at a path."""
    field = _field(path, root)
    return field.description if field and field.description else "another value"


def _known_keys(path: KeyPath, root: type[Section]) -> str:
    """Return the keys that are expected around an unknown one, the most similar first."""
    section = _section(path[:-1], root)
    known = [field.alias or name for name, field in section.model_fields.items()] if section else []
    similar = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"{similar[0]}" if similar else f"one of {', '.join(known)}"


def _field(path: KeyPath, root: type[Section]) -> FieldInfo | None:
    """Return the innermost field of the schema on a path."""
    found = None
    for length in range(len(path)):
        section = _section(path[:length], root)
        fields = {field.alias or name: field for name, field in section.model_fields.items()} if section else {}
        found = fields.get(str(path[length]), found)
    return found


def _section(path: KeyPath, root: type[Section]) -> type[Section] | None:
    """Return the section of the schema that the mapping at a path must follow."""
    annotation: Any = root
    for part in path:
        if isinstance(annotation, type) and issubclass(annotation, Section):
            field = annotation.model_fields.get(str(part))
            annotation = field.annotation if field else None
        elif part in _FAMILY_MARKS:
            tagged = {arg.__metadata__[0].tag: arg.__origin__ for arg in get_args(annotation)}
            annotation = tagged[part]
        else:  # list[X], dict[str, X] and X | None lead to X
            annotation = next((arg for arg in reversed(get_args(annotation)) if arg is not type(None)), None)
        if get_origin(annotation) not in (list, dict) and type(None) in get_args(annotation):
            annotation = get_args(annotation)[0]
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None

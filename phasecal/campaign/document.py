"""YAML that is read safely, with the line of every key.

Campaign files come from other people, so nothing in them is executed or expanded: tags, anchors and aliases
are errors, scalars are only texts, numbers, ``true``/``false`` and ``null`` (YAML 1.1 would turn nobelium,
``No``, into ``False``), and a key may appear once. PyYAML is used because its nodes carry line numbers and
aiida-core depends on it anyway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from phasecal.bounded import printable
from phasecal.errors import InputError

KeyPath = tuple[str | int, ...]
"""Where a value is: keys of mappings and indices of lists, outermost first."""

MAX_BYTES = 100_000
"""Real campaigns have a few thousand; libyaml reads so many in a second."""

MAX_DEPTH = 20
"""Levels of mappings and lists; PyYAML's effort and recursion grow with them."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file.

    Printed as ``FILE:LINE: KEY: what is wrong; what was expected (got VALUE)``.
    """

    file: str
    line: int
    key: str
    message: str

    def __post_init__(self) -> None:
        """Take control characters out of what the user wrote: terminals obey them."""
        for name in ("file", "key", "message"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    def __str__(self) -> str:
        """Return the line that is shown to the user."""
        return f"{self.file}:{self.line}: {self.key}: {self.message}"


class CampaignErrors(InputError):  # noqa: N818  # it is several errors
    """Everything that is wrong in a campaign file, found at once.

    Attributes:
        problems: Sorted by line.
    """

    def __init__(self, problems: list[Problem]) -> None:
        """Sort the problems by line; the message has one line for each."""
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class Document:
    """The content of a YAML file.

    Attributes:
        file: Name of the file as the user wrote it.
        data: Mappings, lists, texts, numbers, booleans and None.
        lines: Line of every key and list item, 1-based.
    """

    file: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """Return the line of a key, or of the nearest mapping or list around it when the key is not there."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def value(self, path: KeyPath) -> Any:
        """Return the value at a path.

        Raises:
            LookupError: There is none.
        """
        value: Any = self.data
        for part in path:
            if not isinstance(value, dict | list):
                raise LookupError(part)
            value = value[part]  # type: ignore[index]  # a wrong kind of key is a LookupError or TypeError of a list
        return value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # PyYAML may be without libyaml
    """Resolves plain scalars to numbers, ``true``, ``false`` and ``null`` only."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as PyYAML declares it


_NUMBER = r"(?:[0-9]{1,18}\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
for _tag, _pattern, _first in (
    ("bool", "true|false", "tf"),
    ("null", "null|~|", "n~"),
    ("int", "[-+]?[0-9]{1,18}", "-+0123456789"),
    ("float", rf"[-+]?{_NUMBER}|[-+]?\.(?:inf|nan)", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), [*_first, *[""] * (_tag == "null")])
_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text == "true",
    "int": int,
    "float": lambda text: float(re.sub(r"\.(?=inf|nan)", "", text)),
    "tag:yaml.org,2002:str": str,
}


@dataclass
class _Builder:
    """Turns YAML nodes into plain data, collecting lines and problems on the way."""

    file: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def report(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, key_text(path), message))

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        """Return the value of a node."""
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return _SCALARS[node.tag](node.value)
        self.report(node, path, f"YAML tags are not read; expected plain YAML (got {node.tag!r})")
        return None

    def build_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        """Return a mapping; a key that is not a plain text or comes twice is a problem."""
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.report(key_node, path, "a key is a mapping or list; expected a plain word")
                continue
            key = str(key_node.value)
            if key in mapping:
                first = self.lines[(*path, key)]
                message = f"key appears twice; expected it once (first on line {first})"
                self.report(key_node, (*path, key), message)
                continue
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            mapping[key] = self.build(value_node, (*path, key))
        return mapping


def key_text(path: KeyPath) -> str:
    """Write a path as ``boundaries[0].targets[1].sigma``; the whole file is ``campaign``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "campaign"


def read_document(path: str | Path) -> Document:
    """Read a YAML file whose top level is a mapping.

    Raises:
        CampaignErrors: The file is missing, not text, not plain YAML, or not a mapping; all problems found.
    """
    file = str(path)
    text = _read_text(Path(path), file)
    try:
        if refused := list(_screen(text)):
            raise CampaignErrors([Problem(file, line, "campaign", message) for line, message in refused])
        node = yaml.compose(text, Loader=_Loader)
        builder = _Builder(file)
        data = builder.build(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"not valid YAML; {error.problem or error.context}"
        raise CampaignErrors([Problem(file, mark.line + 1 if mark else 1, "campaign", message)]) from None
    except yaml.reader.ReaderError as error:
        line, character = _place(text, error)
        message = f"not valid YAML; expected printable text (got the character {character!r})"
        raise CampaignErrors([Problem(file, line, "campaign", message)]) from None
    if builder.problems:
        raise CampaignErrors(builder.problems)
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds {'a list' if isinstance(data, list) else 'one value'}"
        raise CampaignErrors([Problem(file, 1, "campaign", f"the file {what}; expected a mapping of keys")])
    return Document(file, data, builder.lines)


def _place(text: str, error: yaml.reader.ReaderError) -> tuple[int, str]:
    """Return line and character of what cannot be printed; libyaml tells the byte and the number of the character."""
    if isinstance(error.character, str):
        return text[: error.position].count("\n") + 1, error.character
    return text.encode()[: error.position].count(b"\n") + 1, chr(error.character)


def _read_text(path: Path, file: str) -> str:
    """Return the text of a regular file of sensible size."""
    try:
        if not path.exists():
            message = "no such file; expected a campaign file"
        elif not path.is_file():
            message = "not a regular file; expected a campaign file"
        elif path.stat().st_size > MAX_BYTES:
            message = f"larger than {MAX_BYTES} bytes; expected a campaign file"
        else:
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        message = "not a text in UTF-8; expected a YAML file"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        message = f"cannot be read ({getattr(error, 'strerror', None) or error}); expected a campaign file"
    raise CampaignErrors([Problem(file, 1, "campaign", message)])


def _screen(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and message of what is not even built: anchors and aliases, and deep nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            yield line, f"nested too deeply; expected at most {MAX_DEPTH} levels"
            return
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            yield line, f"anchors and aliases are not read; expected plain YAML (got {sign}{event.anchor})"

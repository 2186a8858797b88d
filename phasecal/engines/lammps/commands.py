"""Commands that load a potential: which of them are allowed, and how pair styles are put together.

``potential.in`` is the one file of a run that may hold text of a user. Only commands that set up a potential are
allowed in it (:data:`ALLOWED`), and only words that mean nothing but themselves: no substitution, quote, comment or
continuation line, no style that runs code, no file but those that belong to the model. (The one exception is written by
phasecal itself: the plugin for JAX models, :data:`PLUGIN_COMMAND`.) This is checked where a campaign is read, where a
model is built or loaded, and once more before ``potential.in`` is written.

Several pair styles add up in ``hybrid/overlay``; ``hybrid/scaled`` multiplies each of them by a variable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ase.data import chemical_symbols

from phasecal.errors import InputError

ALLOWED = ("pair_style", "pair_coeff", "pair_modify", "kspace_style", "kspace_modify", "mass")
"""Commands that a potential may consist of."""
OVERLAY = "hybrid/overlay"
MAX_LENGTH = 2000
"""Characters of a command."""
PLUGIN_STYLE = "phasecal"
"""Pair style of JAX models (:mod:`phasecal.engines.lammps.plugin`)."""
LOG_FILE = "log.lammps"
PLUGIN_FILE = "phasecal-plugin.so"
ARTIFACT_FILE = "model.artifact"
PLUGIN_COMMAND = f"plugin load ./{PLUGIN_FILE}"
NEEDS_CODE = {"python", "mliappy", "unified", PLUGIN_STYLE}
"""Words that make a pair style run Python code or load a pickle."""
RESERVED = {
    *("start.data", LOG_FILE, "production.dump", "phasecal.out", "model.eam.alloy", "model.eam.fs"),
    *(PLUGIN_FILE, ARTIFACT_FILE),
}
RESERVED_ENDS = (".in", ".restart", ".sh", ".json")
"""Names that a run gives to files of its own."""

_HARMLESS = re.compile(r"[A-Za-z0-9_.+*/,:=^%()\- ]*")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+\-]{0,199}")
_TYPES = re.compile(r"\d+|\d*\*\d*")
_PLAIN_WORD = re.compile(r"[^./]+|[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def check_file_name(name: str) -> None:
    """Check that a file of a model can lie beside a run's own files.

    Raises:
        InputError: It is more than a plain name, or one that a run uses itself.
    """
    if not _FILE_NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a plain file name; expected letters, digits, '_', '.', '+' and '-'")
    if name in RESERVED or name.endswith(RESERVED_ENDS):
        raise InputError(f"{name} is the name of a file of every run; expected another name")


def check_command(command: str, *, plugin: bool = False) -> None:
    """Check what can be told about one command alone.

    Args:
        command: One plain LAMMPS command.
        plugin: Whether phasecal itself wrote the command, for its own plugin.

    Raises:
        InputError: The command is not allowed; the message ends with what was expected.
    """
    harmless = _HARMLESS.match(command)
    end = harmless.end() if harmless else 0
    if end < len(command):
        raise InputError(
            f"has the character {command[end]!a}; expected one plain command: no substitutions ($), quotes, comments "
            "or continuation lines"
        )
    words = command.split()
    if len(command) > MAX_LENGTH or not words or words[0] not in ALLOWED:
        wrong = f"the command {words[0][:40]!r} is refused" if words else "empty"
        wrong = f"longer than {MAX_LENGTH} characters" if len(command) > MAX_LENGTH else wrong
        raise InputError(f"{wrong}; expected one of {', '.join(ALLOWED)}")
    for word in words:
        if word.startswith(("v_", "c_", "f_")):
            raise InputError(f"{word} refers to a variable, compute or fix; expected numbers, names and files only")
        if NEEDS_CODE & set(word.split("/")) and not (plugin and word == PLUGIN_STYLE):
            raise InputError(f"{word} runs code; expected a pair style that only reads parameters")
    _check_arguments(words)


def _check_arguments(words: list[str]) -> None:
    """Check the first arguments of one command."""
    match words:
        case ["pair_style", style, *_] if not (style.startswith("hybrid") and style != OVERLAY):
            return
        case ["pair_style", style, *_]:
            raise InputError(f"{style} cannot be scaled or corrected; expected {OVERLAY}, or one style")
        case ["pair_coeff", first, second, *_] if _TYPES.fullmatch(first) and _TYPES.fullmatch(second):
            return
        case ["pair_modify", *rest] if rest:
            if "tail" in rest and rest[rest.index("tail") + 1 :][:1] != ["no"]:
                raise InputError("a tail correction cannot be scaled; expected no tail, or tail no")
        case ["mass", index, mass] if index.isdigit() and _number(mass) > 0:
            return
        case ["kspace_style" | "kspace_modify", _, *_]:
            return
        case [command, *_]:
            usage = {
                "pair_style": "pair_style STYLE …",
                "pair_coeff": "pair_coeff I J …, with numbers or * for atom types",
                "pair_modify": "pair_modify KEYWORD VALUE …",
                "mass": "mass I VALUE, with the number of an atom type and a mass above 0 amu",
            }
            raise InputError(f"wrong arguments; expected {usage.get(command, f'{command} ARGUMENTS')}")


def _number(word: str) -> float:
    """Return a plain number, and 0 for anything else."""
    plain = _PLAIN_WORD.fullmatch(word)
    try:
        value = float(word) if plain else 0.0
    except ValueError:
        return 0.0
    return value if value < float("inf") else 0.0


def check_commands(
    commands: Sequence[str], files: Collection[str], elements: Sequence[str], *, plugin: bool = False
) -> None:
    """Check all commands of a potential.

    Args:
        commands: One plain LAMMPS command each, ``pair_style`` first.
        files: Names of the files that belong to the potential.
        elements: Chemical symbols in the order of the atom types.
        plugin: Whether phasecal itself wrote the commands, for its own plugin.

    Raises:
        InputError: A command is not allowed, names a file that is not there, or lists the elements in another order.
    """
    for command in commands:
        try:
            check_command(command, plugin=plugin)
        except InputError as error:
            raise InputError(f"{_shortened(command)}: {error}") from None
    pair = read_pair(commands)
    for command in commands:
        words = command.split()
        for word in words[1:] if words[0] in ("pair_style", "pair_coeff") else ():
            if not (word in files or word in pair.names or _PLAIN_WORD.fullmatch(word)):
                raise InputError(f"{word} is not among the files; expected the plain name of one of files")
        _check_types(words, elements)


def _check_types(words: list[str], elements: Sequence[str]) -> None:
    """Check that elements and numbers of atom types are those of the model."""
    n = len(elements)
    if words[0] == "mass" and not 1 <= int(words[1]) <= n:
        raise InputError(f"mass {words[1]}: no such atom type; expected 1 to {n} for {', '.join(elements)}")
    last = words[max(3, len(words) - n) :]
    symbols = {*chemical_symbols[1:], "NULL"}
    if words[:3] == ["pair_coeff", "*", "*"] and len(last) == n and symbols.issuperset(last):
        if any(word not in (element, "NULL") for word, element in zip(last, elements, strict=True)):
            raise InputError(
                f"{_shortened(' '.join(words))}: the elements are {' '.join(last)}; expected "
                f"{' '.join(elements)}, their order in the phases"
            )


def _shortened(command: str) -> str:
    """Return a command for a message."""
    return ascii(command if len(command) <= 60 else command[:59] + "…")


@dataclass(frozen=True)
class Pair:
    """The pair styles of a potential.

    Attributes:
        styles: Name and arguments of each style.
        lines: All commands but ``pair_style``: the style that each is about (None: all of them) and its words, without
            that style's name.
        is_hybrid: Whether the commands were written for a hybrid style.
    """

    styles: tuple[tuple[str, ...], ...]
    lines: tuple[tuple[int | None, tuple[str, ...]], ...]
    is_hybrid: bool

    @property
    def names(self) -> set[str]:
        """Names of all styles."""
        return {style[0] for style in self.styles} | ({OVERLAY} if self.is_hybrid else set())


def read_pair(commands: Iterable[str]) -> Pair:
    """Take the commands of a potential apart.

    Raises:
        InputError: There is not exactly one ``pair_style``, at the beginning, or a hybrid's coefficients do not name
            its styles.
    """
    lines = [tuple(command.split()) for command in commands if command.split()]
    if [line[0] for line in lines].count("pair_style") != 1 or lines[0][0] != "pair_style" or len(lines[0]) < 2:
        raise InputError("not one pair_style, at the beginning; expected pair_style STYLE … as the first command")
    (_, name, *arguments), *rest = lines
    is_hybrid = name == OVERLAY
    if name.startswith("hybrid") and not is_hybrid:
        raise InputError(f"{name} cannot be scaled or corrected; expected {OVERLAY}, or one style")
    styles = _sub_styles(arguments, rest) if is_hybrid else ((name, *arguments),)
    owned: list[tuple[int | None, tuple[str, ...]]] = []
    for line in rest:
        if not is_hybrid or line[0] not in ("pair_coeff", "pair_modify"):
            owned.append((0 if line[0] == "pair_coeff" else None, line))
        elif line[0] == "pair_coeff":
            index, words = _owner(styles, line[3:])
            owned.append((index, (*line[:3], *words)))
        elif line[1] == "pair":
            index, words = _owner(styles, line[2:])
            owned.append((index, ("pair_modify", *words)))
        else:
            owned.append((None, line))
    return Pair(styles, tuple(owned), is_hybrid)


def _sub_styles(arguments: Sequence[str], lines: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Split the arguments of a hybrid at the names that its coefficients mention."""
    names = {line[3] for line in lines if line[0] == "pair_coeff" and len(line) > 3}
    starts = [i for i, word in enumerate(arguments) if word in names]
    if not starts or starts[0] != 0:
        raise InputError(f"{OVERLAY}: the styles are unclear; expected a pair_coeff I J STYLE … for each of them")
    return tuple(tuple(arguments[i:j]) for i, j in zip(starts, [*starts[1:], len(arguments)], strict=True))


def _owner(styles: Sequence[tuple[str, ...]], words: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Return which style ``STYLE [N] …`` means, and the rest of the words."""
    named = [i for i, style in enumerate(styles) if words and style[0] == words[0]]
    numbered = len(named) > 1
    position = int(words[1]) if numbered and len(words) > 1 and words[1].isdigit() else 1
    if not named or not 1 <= position <= len(named) or (numbered and not words[1:2] == (str(position),)):
        raise InputError(f"{' '.join(words[:2])}: no such style; expected one of those of {OVERLAY}, with its number")
    return named[position - 1], tuple(words[2 if numbered else 1 :])


def combined(pairs: Sequence[Pair], factors: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Write several potentials as one hybrid style.

    Args:
        pairs: The potentials.
        factors: Name of the variable that multiplies each of them (``hybrid/scaled``); by default they are added
            (``hybrid/overlay``).

    Returns:
        The commands, and for each potential the names of its styles, numbered where a name appears twice.
    """
    total = Counter(style[0] for pair in pairs for style in pair.styles)
    seen: Counter[str] = Counter()
    head: list[str] = []
    lines: list[str] = []
    names: list[list[str]] = []
    for i, pair in enumerate(pairs):
        labels = []
        for style in pair.styles:
            seen[style[0]] += 1
            labels.append(f"{style[0]} {seen[style[0]]}" if total[style[0]] > 1 else style[0])
            head += [f"v_{factors[i]}", *style] if factors else style
        for owner, words in pair.lines:
            owners = range(len(labels)) if owner is None else [owner]
            if words[0] == "pair_coeff":
                lines += [" ".join([*words[:3], labels[index], *words[3:]]) for index in owners]
            elif words[0] == "pair_modify":
                lines += [" ".join(["pair_modify pair", labels[index], *words[1:]]) for index in owners]
            else:
                lines.append(" ".join(words))
        names.append(labels)
    return [f"pair_style {'hybrid/scaled' if factors else OVERLAY} {' '.join(head)}", *lines], names


def overlay(commands: Sequence[str], correction: Sequence[str]) -> list[str]:
    """Return commands for the sum of two potentials."""
    return combined([read_pair(commands), read_pair(correction)])[0]

"""Exit codes as help: every message says what happened, where to look, and what to do next.

The three parts are one text, because AiiDA stores and shows one: `verdi process report` and `phasecal status` say the
same. A chain that passes on the failure of a child takes over only what happened, so that the text does not grow with
the depth of the nesting. `PK` in an advice stands for the process that ended with the code.
"""

from __future__ import annotations

from typing import NamedTuple

LOOK, NEXT = " Look: ", " Next: "


class Advice(NamedTuple):
    """The parts of a message; `look` and `next_step` are empty where a message has none."""

    what: str
    look: str
    next_step: str


def advice(what: str, *, look: str, next_step: str) -> str:
    """Put a message together; `what` may have placeholders."""
    return f"{what}{LOOK}{look}{NEXT}{next_step}"


def passed_on(what: str) -> str:
    """Message of a chain that ended because a child did; `what` names the step and ends with `{message}`."""
    return advice(
        what,
        look="`phasecal status` of the campaign, which shows the process where it began.",
        next_step="what that process advises.",
    )


def parts_of(message: str | None, pk: int | None = None) -> Advice:
    """Take a message apart, and put the PK of its process into the advice."""
    what, _, rest = (message or "").partition(LOOK)
    look, _, next_step = rest.partition(NEXT)
    if pk is not None:
        look, next_step = look.replace("PK", str(pk)), next_step.replace("PK", str(pk))
    return Advice(what, look, next_step)

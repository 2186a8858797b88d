"""Write docs/reference/exit-codes.md from the processes themselves: `python docs/exit_codes.py`."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from aiida_phasecal.advice import LOOK, parts_of

PAGE = Path(__file__).parent / "reference" / "exit-codes.md"
HEAD = """# Exit codes

Made by `python docs/exit_codes.py` from the processes themselves; a test keeps it current.

Bands: 1xx the scheduler (AiiDA's own), 2xx the input, 3xx output that cannot be used, 4xx a part failed or was
interrupted and can be done again, 5xx finished but scientifically rejected. `phasecal status PK` and `phasecal show PK`
of a failed campaign lead to the process where it began, through any number of work chains, and print its code
with what is said here; `PK` below is that process, and `{…}` what it fills in. `verdi process report PK` tells the
whole story.

The commands of `phasecal` exit with 0, with 2 when what was asked for is wrong, and with 1 when a campaign that was
waited for failed.
"""


def page() -> str:
    """Return the text of the page."""
    parts = [HEAD]
    for group in ("aiida.calculations", "aiida.workflows"):
        for point in sorted(entry_points(group=group), key=lambda point: point.name):
            if not point.name.startswith("phasecal."):
                continue
            codes = sorted(point.load().spec().exit_codes.values())
            rows = [
                f"| {code.status} | {' | '.join(parts_of(code.message))} |" for code in codes if LOOK in code.message
            ]
            head = "| code | what happened | where to look | what to do next |\n|---|---|---|---|\n"
            parts.append(f"## {point.name}\n\n{head}" + "\n".join(rows) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf8")

"""The verdict on a running job from the end of its log: real logs, and healthy ones that must not be stopped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from phasecal.engines.lammps.watch import MIN_ATOMS, TAIL_BYTES, judge_log

RECORDED = Path(__file__).parents[2] / "fixtures" / "lammps"
OTHERS = sorted({path.parent.name for path in RECORDED.glob("*/task.json")} - {"melted-late"})


def recorded(name: str) -> tuple[str, dict]:
    folder = RECORDED / name
    return (folder / "log.lammps").read_text(), json.loads((folder / "task.json").read_text())


def up_to(log: str, step: int) -> str:
    """The log as it was when this step of production was its last line."""
    before, production = log.rsplit("\nphasecal stage: production", 1)
    return before + "\nphasecal stage: production" + production[: production.index(f"\n  - [{step + 100},") + 1]


def with_last_line(log: str, **changes: str) -> str:
    """The log with other numbers in its last line."""
    lines = log.splitlines(keepends=True)
    numbers = lines[-1].split(", ")
    for column, value in changes.items():
        numbers[["step", "temp", "pe", "ke"].index(column)] = value
    return "".join(lines[:-1]) + ", ".join(numbers)


def test_a_crystal_that_melts_on_the_way_is_noticed_soon_after():
    log, task = recorded("melted-late")
    verdict = judge_log(log, task)
    assert verdict is not None
    assert not verdict.is_blown_up
    assert re.fullmatch(
        r"fcc: it melted or transformed: its energy changed by 0\.\d+ kT per atom by step 9000", verdict[1]
    )
    assert judge_log(up_to(log, 6500), task) is not None
    assert judge_log(up_to(log, 4000), task) is None  # it still is a crystal


def test_a_liquid_that_freezes_is_noticed_too():
    """The log of a melting crystal backwards in energy."""
    log, task = recorded("melted-late")
    mirrored = re.sub(r"(- \[\d+, [\d.]+, )-([\d.]+)", lambda m: f"{m[1]}{-1600 + float(m[2])}", log)
    verdict = judge_log(mirrored, {**task, "phase": "liquid"})
    assert verdict is not None
    assert "liquid: it crystallised" in verdict.reason


@pytest.mark.parametrize("name", OTHERS)
def test_no_other_run_is_stopped(name):
    """Finished, interrupted, continued, crashed (which ended by itself), hot and pinned ones."""
    log, task = recorded(name)
    assert judge_log(log[-TAIL_BYTES:], task) is None
    for part in range(1, 10):  # nor at any time before
        assert judge_log(log[: part * len(log) // 10], task) is None


@pytest.mark.parametrize("changes", [{"temp": "nan"}, {"pe": "-nan"}, {"pe": "inf"}, {"temp": "1.1e6"}])
@pytest.mark.parametrize("name", ["hot-crystal", "interrupted"])
def test_a_run_that_blew_up_is_stopped(name, changes):
    log, task = recorded(name)
    log = log[: log.rindex("\n") + 1]
    verdict = judge_log(with_last_line(log, **changes), task)
    assert verdict is not None
    assert verdict.is_blown_up
    assert "step" in verdict.reason
    assert judge_log(with_last_line(log, temp="4000.0"), task) is None  # hot, as a kinetic energy may be for once
    assert judge_log(with_last_line(log, **changes) + "ERROR: Lost atoms: original 256 current 7\n", task) is None
    assert judge_log(with_last_line(log, **changes) + "\nphasecal stage: start\n", task) is None


def test_only_what_the_end_of_a_log_shows_is_judged():
    log, task = recorded("melted-late")
    assert judge_log("", task) is None
    assert judge_log("- [1, 2", task) is None
    assert judge_log(log[-3000:], task) is None  # the beginning of production is not in it
    assert judge_log(with_last_line(log[-3000:], temp="nan"), task) is not None
    assert judge_log(log, {**task, "kind": "coexistence"}) is None  # whose energy changes when interfaces move
    small = re.sub(r"(- \[\d+, [\d.]+, -[\d.]+, )([\d.]+)", lambda m: f"{m[1]}{float(m[2]) * MIN_ATOMS / 300}", log)
    assert judge_log(small, task) is None

"""How many more runs a campaign needs for a smaller interval: errors fall with the square root of their number."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from phasecal.errors import InputError

STAGE: Final = {"transition": "transition", "verify": "verification", "calibrate": "verification"}
"""The protocol block that decides the interval of a task's result; a calibration's result is its verification."""
PINNING: Final = {"transition": "pinning", "verification": "pinning_verification"}
MAX_RUNS: Final = 100
"""What a protocol allows."""


def counter(task: str, method: str) -> tuple[str, str]:
    """Return the protocol block and its key that count the independent runs behind the result of a task.

    Raises:
        InputError: There is no such number for this task.
    """
    if task not in STAGE:
        raise InputError(f"a {task} cannot be extended; expected one of {', '.join(STAGE)}")
    if method == "free-energy":
        return "free_energy", "repeats" if task == "transition" else "repeats_at_target"
    stage = STAGE[task]
    return (PINNING[stage] if method == "pinning" else stage), "replicas"


def extended(campaign: Mapping[str, Any], task: str, points: Sequence[Mapping[str, Any]], sigma_k: float) -> Any:
    """Return a campaign with as many runs as bring every point to an interval.

    Seeds depend on the number of a run, so that the first ones of the new campaign are those that exist.

    Args:
        campaign: A validated campaign as a dictionary in internal units.
        task: What was done.
        points: Its results, with ``method`` and ``sigma_k``.
        sigma_k: The interval that is wanted, K.

    Returns:
        A copy with larger numbers of runs.

    Raises:
        InputError: All points have that interval already, there are none, or it would take more runs than
            :data:`MAX_RUNS`.
    """
    result = copy.deepcopy(dict(campaign))
    if not points:
        raise InputError("there is no result whose interval could be made smaller; see `phasecal show`")
    if all(point["sigma_k"] <= sigma_k for point in points):
        largest = max(point["sigma_k"] for point in points) / sigma_k
        raise InputError(f"the largest interval is {largest:.2g} times the wanted one already; ask for a smaller one")
    for point in points:
        block, key = counter(task, point["method"])
        now = _number(campaign["protocol"][block], key)
        needed = math.ceil(now * (point["sigma_k"] / sigma_k) ** 2)
        if needed > MAX_RUNS:
            raise InputError(
                f"such an interval would take {needed} runs of protocol.{block}, at most {MAX_RUNS} are allowed; "
                "launch with a larger protocol"
            )
        result["protocol"][block][key] = max(_number(result["protocol"][block], key), needed)
    return result


def _number(block: Mapping[str, Any], key: str) -> int:
    """Number of runs in a block of the protocol."""
    return int(block.get(key) or block["repeats"])

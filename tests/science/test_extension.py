"""How many more runs a campaign needs for a smaller interval."""

from __future__ import annotations

import copy

import pytest

from phasecal.campaign.extension import extended
from phasecal.errors import InputError

CAMPAIGN = {
    "title": "x",
    "protocol": {
        "transition": {"replicas": 6},
        "verification": {"replicas": 2, "n_lateral": 11},
        "pinning_verification": {"replicas": 2},
        "free_energy": {"repeats": 3},
    },
}


def points(*pairs):
    return [{"method": method, "sigma_k": sigma} for method, sigma in pairs]


def test_errors_fall_with_the_square_root_of_the_number_of_runs():
    before = copy.deepcopy(CAMPAIGN)
    after = extended(CAMPAIGN, "transition", points(("coexistence", 4.0)), 2.0)
    assert after["protocol"]["transition"]["replicas"] == 24
    assert CAMPAIGN == before
    assert {**after, "protocol": {**after["protocol"], "transition": {"replicas": 6}}} == before


def test_the_worst_point_decides_and_each_method_has_its_own_number():
    found = points(("coexistence", 3.0), ("coexistence", 1.0), ("pinning", 2.1), ("free-energy", 1.5))
    protocol = extended(CAMPAIGN, "calibrate", found, 1.5)["protocol"]
    assert protocol["verification"] == {"replicas": 8, "n_lateral": 11}
    assert protocol["pinning_verification"]["replicas"] == 4
    assert protocol["free_energy"] == {"repeats": 3, "repeats_at_target": 3}
    assert protocol["transition"]["replicas"] == 6


def test_free_energies_at_the_target_have_a_number_of_their_own():
    found = points(("free-energy", 6.0))
    assert extended(CAMPAIGN, "transition", found, 3.0)["protocol"]["free_energy"] == {"repeats": 12}
    campaign = copy.deepcopy(CAMPAIGN)
    campaign["protocol"]["free_energy"]["repeats_at_target"] = 8
    wanted = {"repeats": 3, "repeats_at_target": 32}
    assert extended(campaign, "calibrate", found, 3.0)["protocol"]["free_energy"] == wanted


@pytest.mark.parametrize(
    ("task", "found", "sigma", "words"),
    [
        ("transition", points(("coexistence", 4.0)), 5.0, "the largest interval is 0.8 times the wanted one already"),
        ("transition", points(("coexistence", 4.0)), 0.4, "would take 600 runs of protocol.transition, at most 100"),
        ("verify", [], 1.0, "no result whose interval"),
        ("phase-diagram", points(("coexistence", 4.0)), 1.0, "a phase-diagram cannot be extended"),
    ],
)
def test_what_cannot_be_extended_says_why(task, found, sigma, words):
    with pytest.raises(InputError, match=words):
        extended(CAMPAIGN, task, found, sigma)

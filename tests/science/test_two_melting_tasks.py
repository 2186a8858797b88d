"""Which method checks which, and the runs behind two melting points."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.campaign.load import load_campaign
from phasecal.campaign.methods import METHODS, default_verification, how_verified
from phasecal.campaign.two_melting_tasks import ladder, melt_of, melting_guess
from phasecal.engines.lammps import validate_task
from phasecal.errors import InputError
from phasecal.structures.crystals import PROTOTYPES, crystal, two_phase_repeats
from phasecal.structures.reflections import bragg_vectors

CAMPAIGN = """\
schema: 1
title: iron
model: {family: eam, source: "lammps://Fe_mm.eam.fs"}
phases:
  bcc: {prototype: bcc, elements: [Fe], a: 2.87 A}
  fcc: {prototype: fcc, elements: [Fe], a: 3.65 A}
  hcp: {prototype: hcp, elements: [Fe], a: 2.58 A}
MELT
boundaries:
  - {phases: [bcc, fcc], pressures: [0 GPa], guess: 1185 K}
OTHER
protocol: fast
"""
MELT = "  liquid: {melt: bcc}"
MELTING = "  - {phases: [fcc, liquid], pressures: [0 GPa], guess: 1800 K}"


@pytest.fixture
def campaign(tmp_path):
    def make(melt=MELT, other=MELTING):
        path = tmp_path / "iron.yaml"
        path.write_text(CAMPAIGN.replace("MELT", melt).replace("OTHER", other))
        return load_campaign(path, task="transition").to_dict()

    return make


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("melting", [True, False])
@pytest.mark.parametrize("has_melt", [True, False])
def test_a_verification_is_by_another_method_wherever_there_is_one(method, melting, has_melt):
    check = default_verification(method, melting=melting, has_melt=has_melt)
    assert check in METHODS
    assert (check == method) == (method == "free-energy" and not melting and not has_melt)


def test_boundaries_get_the_check_of_their_kind(campaign):
    solid, melting = campaign()["boundaries"]
    assert (solid["method"], solid["verify"]) == ("free-energy", "two-melting-points")
    assert (melting["method"], melting["verify"]) == ("coexistence", "pinning")
    (alone,) = campaign(melt="", other="")["boundaries"]
    assert (alone["method"], alone["verify"]) == ("free-energy", "free-energy")
    _, pinned = campaign(other=MELTING.replace("guess", "method: pinning, guess"))["boundaries"]
    assert (pinned["method"], pinned["verify"]) == ("pinning", "coexistence")


def test_what_verified_is_said_in_words():
    assert how_verified("pinning", "coexistence") == "pinning (anchor by coexistence)"
    assert how_verified("coexistence", "coexistence") == "coexistence (as the anchor)"
    assert how_verified("coexistence", None) == "coexistence"


def test_the_search_for_melting_starts_where_the_campaign_knows_it(campaign):
    state = {"phases": ["bcc", "fcc"], "pressure_gpa": 0.0, "guess_k": 1185.0}
    own = MELTING + "\n" + MELTING.replace("fcc", "bcc").replace("1800", "1750")
    assert [melting_guess(campaign(other=own), state, phase) for phase in ("bcc", "fcc")] == [1750.0, 1800.0]
    assert melting_guess(campaign(), state, "bcc") == 1800.0
    assert melting_guess(campaign(other=""), state, "bcc") == pytest.approx(1.6 * 1185)
    assert melt_of(campaign(), ["bcc", "fcc"]) == "liquid"
    with pytest.raises(InputError, match=r"add a phase such as liquid: \{melt: fcc\}"):
        melt_of(campaign(melt="", other=""), ["bcc", "fcc"])


def test_the_melt_is_sampled_at_the_melting_points_only():
    chosen = ladder({"guess_k": 1000.0}, (1600.0, 1700.0), 3)
    assert chosen == {
        "low": [1000.0, 1300.0, 1600.0],
        "high": [1000.0, 1300.0, 1600.0, 1700.0],
        "melt": [1600.0, 1700.0],
    }
    assert ladder({"guess_k": 2000.0}, (1600.0, 1700.0), 2)["low"] == [1440.0, 1600.0]


@pytest.mark.parametrize("prototype", PROTOTYPES)
def test_every_prototype_can_stand_beside_its_melt(prototype):
    """Interfaces need a square cross-section, layers along z, and in-plane reflections to tell solid from liquid."""
    elements = ["Na", "Cl"] if prototype in ("B1", "B2", "B3", "L1_2") else ["Ti"]
    structure = {"prototype": prototype, "elements": elements, "a": 2.95 if prototype == "hcp" else 4.0}
    cell, sizes = crystal(structure), (6, 14)
    vectors = bragg_vectors(cell, two_phase_repeats(cell, *sizes), in_plane=True)
    assert np.linalg.matrix_rank(vectors) == 2
    assert not vectors[:, 2].any()
    task = validate_task(
        {
            "schema": 1,
            "kind": "coexistence",
            "phases": [prototype, "liquid"],
            "structure": structure,
            "n_lateral": 6,
            "n_normal": 14,
            "temperature_k": 1900.0,
            "start_temperature_k": 1900.0,
            "pressure_gpa": 0.0,
            "timestep_fs": 2.0,
            "melt_temperature_k": 3800.0,
            "relax_steps": 100,
            "melt_steps": 100,
            "cool_steps": 100,
            "settle_steps": 100,
            "production_steps": 1000,
            "thermo_every": 50,
            "sample_every": 200,
            "restart_every": 1000,
            "seed": 1,
        }
    )
    box = task.start_configuration()
    assert box.cell[0, 0] == pytest.approx(box.cell[1, 1], rel=0.2)
    assert task.parameters()["n_solid"] == pytest.approx(0.38 * len(box), rel=0.1)

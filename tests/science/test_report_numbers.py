"""Numbers as text, tabulated experiment, and thinned series of a report."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.experiment import TRANSITIONS, reference
from phasecal.report.markup import tag
from phasecal.report.numbers import count, duration, percent, tabulated, with_sigma
from phasecal.report.runs import MAX_POINTS, thin


@pytest.mark.parametrize(
    ("value", "sigma", "expected"),
    [
        (1364.83, 2.81, "1364.8 ± 2.8"),
        (1326.0, 12.4, "1326 ± 12"),
        (1326.0, 123.0, "1330 ± 120"),
        (-0.0004, 0.05, "0.000 ± 0.050"),
        (-22.41, 0.92, "−22.41 ± 0.92"),
        (3.27e-9, 0.11e-9, "(3.27 ± 0.11) × 10⁻⁹"),
        (1.0, None, "–"),
        (None, 1.0, "–"),
    ],
)
def test_numbers_are_rounded_to_their_interval(value: float | None, sigma: float | None, expected: str) -> None:
    assert with_sigma(value, sigma) == expected


def test_other_numbers() -> None:
    assert percent(0.2361, 0.0172) == "+23.6 ± 1.7" and percent(-0.001) == "−0.10" and percent(0.0) == "0.00"
    assert duration(42) == "42 s" and duration(725) == "12 min 5 s" and duration(15132) == "4 h 12 min"
    assert count(1.92e8) == "1.92 × 10⁸" and count(5) == "5"
    assert tabulated(137.45, None) == "137.45" and tabulated(3.97e-9, None) == "3.97 × 10⁻⁹"


def test_text_and_attributes_are_escaped() -> None:
    assert tag("p", "<b>", class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;</p>'


def test_thinning_keeps_the_mean() -> None:
    time = np.linspace(0, 1, 10 * MAX_POINTS)
    values = np.random.default_rng(0).normal(size=time.size)
    thin_time, thin_values = thin(time.tolist(), values.tolist())
    assert len(thin_time) == MAX_POINTS and np.isclose(thin_values.mean(), values.mean())
    assert [series.size for series in thin([], [])] == [0, 0]


def test_experimental_values_are_consistent() -> None:
    for (element, low, high), entry in TRANSITIONS.items():
        assert np.isclose(entry.enthalpy_j_mol / entry.temperature_k, entry.entropy_j_mol_k, rtol=5e-3)
        known = reference(element, f"enthalpy_change[{low}-{high}]")
        assert known is not None and np.isclose(known.value, entry.enthalpy_j_mol / 96.48533)  # J/mol to meV
    for element in ("Cu", "Al", "Ni"):
        c11, c12, bulk = (reference(element, name) for name in ("C11", "C12", "bulk_modulus"))
        assert c11 and c12 and bulk and np.isclose((c11.value + 2 * c12.value) / 3, bulk.value, atol=0.1)
    assert reference(None, "C11") is None and reference("Cu", "C11[hcp]") is None


@pytest.mark.parametrize(("element", "low"), [("Cu", "fcc"), ("Al", "fcc")])
def test_volume_change_and_entropy_give_the_measured_melting_slope(element: str, low: str) -> None:
    known = reference(element, f"volume_change[{low}-liquid]")
    assert known is not None
    slope = known.value * 602.214 / TRANSITIONS[element, low, "liquid"].entropy_j_mol_k  # Å³ GPa to J/mol
    assert 30 < slope < 70  # K/GPa; initial slopes measured: Cu 36 to 42, Al 59 to 65

"""BAR and MBAR against harmonic oscillators and Gaussian work, whose free energies are known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from phasecal.errors import DataError, OverlapError
from phasecal.freeenergy.overlap import bar, mbar, subsample


def gaussian_work(rng, n, delta_f, sigma):
    """Forward and reverse work that obey Crooks' theorem: both Gaussian, with dissipation sigma²/2."""
    forward = rng.normal(delta_f + sigma**2 / 2, sigma, n)
    reverse = rng.normal(-delta_f + sigma**2 / 2, sigma, n)
    return forward, reverse


class Oscillators:
    """Harmonic oscillators u_k(x) = K_k (x - x_k)²/2 + c_k: f_k = c_k - ln sqrt(2π/K_k)."""

    def __init__(self, stiffness, centres, offsets):
        self.stiffness, self.centres, self.offsets = map(np.asarray, (stiffness, centres, offsets))

    @property
    def f_k(self):
        f_k = self.offsets + np.log(self.stiffness) / 2
        return f_k - f_k[0]

    def sample(self, rng, n_k):
        return np.concatenate(
            [rng.normal(x, k**-0.5, n) for x, k, n in zip(self.centres, self.stiffness, n_k, strict=True)]
        )

    def u_kn(self, x):
        return np.array(
            [
                k * (x - centre) ** 2 / 2 + offset
                for k, centre, offset in zip(self.stiffness, self.centres, self.offsets, strict=True)
            ]
        )


OSCILLATORS = Oscillators([1.0, 1.3, 1.8, 2.2], [0.0, 1.5, 2.8, 4.0], [0.0, 310.0, 640.0, 900.0])


def correlated(rng, n, tau):
    """Autoregressive Gaussian series of unit variance with statistical inefficiency of about 2·tau."""
    a = np.exp(-1 / tau)
    x = np.empty(n)
    x[0] = rng.normal()
    for i in range(1, n):
        x[i] = a * x[i - 1] + rng.normal() * np.sqrt(1 - a**2)
    return x


def test_bar_gives_the_known_difference_with_an_honest_error():
    rng = np.random.default_rng(1)
    z = []
    for _ in range(40):
        difference, sigma = bar(*gaussian_work(rng, 150, 3.7, 1.5))
        z.append((difference - 3.7) / sigma)
    assert abs(np.mean(z)) < 4 / np.sqrt(40)
    assert 0.7 < np.std(z) < 1.35


def test_bar_takes_differences_of_hundreds_of_kt():
    rng = np.random.default_rng(2)
    difference, sigma = bar(*gaussian_work(rng, 100, -812.0, 1.0))
    assert abs(difference + 812.0) < 4 * sigma


def test_wrong_sign_of_the_reverse_work_fails():
    rng = np.random.default_rng(3)
    forward, reverse = gaussian_work(rng, 150, 3.7, 1.5)
    difference, sigma = bar(forward, -reverse)
    assert abs(difference - 3.7) > 10 * sigma
    with pytest.raises(DataError, match="sign of the reverse work"):
        bar(-forward, reverse)


def test_bar_refuses_states_without_overlap():
    rng = np.random.default_rng(4)
    with pytest.raises(OverlapError, match="sample a state between them"):
        bar(*gaussian_work(rng, 200, 3.7, 8.0))


def test_bar_refuses_nonsense():
    with pytest.raises(DataError, match="at least 4"):
        bar(np.ones(3), np.ones(50))
    with pytest.raises(DataError, match="not finite"):
        bar(np.full(10, np.nan), np.ones(10))


def test_mbar_gives_known_free_energies_from_a_distant_start():
    rng = np.random.default_rng(5)
    n_k = np.array([300, 200, 250, 300])
    z = []
    for _ in range(6):
        result = mbar(OSCILLATORS.u_kn(OSCILLATORS.sample(rng, n_k)), n_k)
        z.append((result.f_k - OSCILLATORS.f_k)[1:] / np.sqrt(np.diag(result.covariance))[1:])
    assert np.abs(z).max() < 4
    assert np.abs(result.overlap.sum(axis=1) - 1).max() < 1e-6
    assert (result.neighbor_overlap > 0.1).all()


def test_mbar_of_two_states_is_bar():
    rng = np.random.default_rng(6)
    two = Oscillators([1.0, 1.5], [0.0, 1.0], [0.0, 5.0])
    n_k = np.array([200, 120])
    u_kn = two.u_kn(two.sample(rng, n_k))
    result = mbar(u_kn, n_k)
    difference, sigma = bar(u_kn[1, :200] - u_kn[0, :200], u_kn[0, 200:] - u_kn[1, 200:])
    assert result.f_k[1] == pytest.approx(difference, abs=1e-7)
    assert result.covariance[1, 1] ** 0.5 == pytest.approx(sigma, rel=1e-4)
    balanced = (result.overlap[0, 1] / n_k[1] + result.overlap[1, 0] / n_k[0]) * n_k.sum() / 4
    assert result.neighbor_overlap[0] == pytest.approx(balanced, rel=1e-4)


def test_mbar_covariance_agrees_with_a_bootstrap():
    rng = np.random.default_rng(7)
    n_k = np.array([150, 150, 150, 150])
    u_kn = OSCILLATORS.u_kn(OSCILLATORS.sample(rng, n_k))
    result = mbar(u_kn, n_k)
    starts = np.concatenate([[0], np.cumsum(n_k)[:-1]])
    copies = []
    for _ in range(60):
        frames = np.concatenate([start + rng.integers(0, n, n) for start, n in zip(starts, n_k, strict=True)])
        copies.append(mbar(u_kn[:, frames], n_k).f_k)
    ratio = np.std(copies, axis=0, ddof=1)[1:] / np.sqrt(np.diag(result.covariance))[1:]
    assert (np.abs(np.log(ratio)) < np.log(1.4)).all()


def test_mbar_refuses_a_broken_bridge():
    rng = np.random.default_rng(8)
    gap = Oscillators([1.0, 1.0, 1.0], [0.0, 1.0, 12.0], [0.0, 0.0, 0.0])
    n_k = np.array([100, 100, 100])
    with pytest.raises(OverlapError, match="state 1 and state 2"):
        mbar(gap.u_kn(gap.sample(rng, n_k)), n_k)


def test_equal_states_up_to_an_offset_differ_by_the_offset():
    rng = np.random.default_rng(10)
    x = rng.normal(size=80)
    result = mbar(np.array([x**2 / 2, x**2 / 2 + 7.0, x**2 / 2 + 7.0]), np.array([30, 30, 20]))
    assert result.f_k == pytest.approx([0.0, 7.0, 7.0], abs=1e-9)
    assert result.covariance == pytest.approx(np.zeros((3, 3)), abs=1e-12)
    assert result.neighbor_overlap == pytest.approx([0.5, 0.5])


def test_mbar_refuses_wrong_shapes():
    with pytest.raises(DataError, match="shape"):
        mbar(np.zeros((2, 10)), np.array([5, 6]))


def test_errors_are_honest_only_after_subsampling():
    """Negative control: correlated frames without subsampling fail the test that subsampled ones pass."""
    rng = np.random.default_rng(9)
    tau, n = 10.0, 600
    z: dict[str, list[float]] = {"all": [], "independent": []}
    for _ in range(40):
        x0, x1 = correlated(rng, n, tau), 1.2 + correlated(rng, n, tau)
        forward, reverse = (1.2**2 - 2 * 1.2 * x0) / 2, (2 * 1.2 * x1 - 1.2**2) / 2
        frames = subsample(n, 2 * tau)
        for name, take in (("all", slice(None)), ("independent", frames)):
            difference, sigma = bar(forward[take], reverse[take])
            z[name].append(difference / sigma)
    assert np.std(z["independent"]) < 1.4
    assert np.std(z["all"]) > 2.0


def test_subsample_keeps_all_of_independent_frames():
    assert subsample(5, 0.3).tolist() == [0, 1, 2, 3, 4]
    assert subsample(10, 2.5).tolist() == [0, 2, 5, 7]


def test_pymbar_is_silent_and_loaded_late():
    code = (
        "import sys\n"
        "from phasecal.freeenergy.overlap import bar\n"
        "assert 'pymbar' not in sys.modules\n"
        "import numpy as np\n"
        "rng = np.random.default_rng(1)\n"
        "bar(rng.normal(0.5, 1, 50), rng.normal(0.5, 1, 50))\n"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == result.stderr == ""

"""The estimate of a calibration step against phases whose Gibbs energy is known for every model, T and P.

N atoms on springs in an elastic volume, U = N e + K Σu²/2 + B (V − V₀)²/(2 V₀) with n springs per atom: all Gaussian,
so that G follows in closed form (up to the kinetic part, equal in all phases) and independent frames are drawn exactly.
The phases differ in their number of springs, so that ΔC_p is not zero.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq

from phasecal.calibration import states
from phasecal.calibration.chain import estimate_targets
from phasecal.calibration.joined import groups_in_reach
from phasecal.calibration.schema import read_task
from phasecal.calibration.states import Library, Sampled, Source, StateFrames, state_of
from phasecal.calibration.uncertain import correlated, covariance
from phasecal.errors import DataError, InputError, OverlapError
from phasecal.freeenergy import phase_mbar
from phasecal.freeenergy.phase_mbar import PhaseSample
from phasecal.sample import Sample
from phasecal.units import EV_PER_A3_IN_GPA, KB

N = 60
PHASES = {"A": (0.0, 6.0, 3.0, 12.0), "B": (0.10, 2.7, 2.7, 13.0), "C": (0.11, 2.6, 2.8, 13.5)}
"""e, eV; K of model 0, eV/Å²; n; V₀, Å³, per atom."""
BULK = 0.8
MODELS = {"A": (1.0, 1.05, 1.10, 3.0), "B": (1.0, 0.98, 0.96, 0.4), "C": (1.0, 1.03, 1.05, 2.0)}
"""K of each model relative to model 0; model 3 is far from the others."""


def gibbs(phase, model, t, p_gpa):
    """G of a phase, eV/atom, up to what all phases have."""
    e, stiffness, n, v0 = PHASES[phase]
    kT, p = KB * t, p_gpa / EV_PER_A3_IN_GPA
    springs = n / 2 * kT * np.log(stiffness * MODELS[phase][model] / kT) - (n - 3) / 2 * kT * np.log(2 * np.pi)
    volume = p * v0 - p**2 * v0 / (2 * BULK) + 0.5 * kT / N * np.log(BULK / (N * v0 * kT))
    return e + springs + volume


def delta_g(phases, model, t, p_gpa=0.0):
    return gibbs(phases[1], model, t, p_gpa) - gibbs(phases[0], model, t, p_gpa)


def boundary_k(phases, model, p_gpa=0.0):
    return brentq(lambda t: delta_g(phases, model, t, p_gpa), 300.0, 3000.0)


class Springs(Library):
    """Samples of known phases; their energies under all models follow from Σu² and V."""

    def __init__(self, rng, plan, n_models, n_frames=100):
        frames_of = n_frames if isinstance(n_frames, dict) else dict.fromkeys(PHASES, n_frames)
        self.squares, self.evaluated = {}, []
        sources = []
        for i, (phase, model, t, p_gpa) in enumerate(plan):
            n_frames = frames_of[phase]
            _, stiffness, n, v0 = PHASES[phase]
            kT, p = KB * t, p_gpa / EV_PER_A3_IN_GPA
            squares = kT / (stiffness * MODELS[phase][model]) * rng.chisquare(n * N, n_frames)
            volumes = N * v0 * (1 - p / BULK) + np.sqrt(N * v0 * kT / BULK) * rng.normal(size=n_frames)
            self.squares[str(i)] = squares
            sample = Sample(
                positions=np.zeros((n_frames, N, 3), dtype=np.float32),
                cells=np.cbrt(volumes)[:, None, None] * np.eye(3),
                energies=self.energy(phase, model, squares, volumes),
                steps=np.arange(n_frames),
                species=np.zeros(N, dtype=np.int32),
                elements=("X",),
                phase=phase,
                temperature_k=t,
                pressure_gpa=p_gpa,
                timestep_fs=1.0,
                model_hash=str(model),
            )
            sources.append(Source(str(i), model, sample))
        super().__init__((None,) * n_models, tuple(sources))

    @staticmethod
    def energy(phase, model, squares, volumes):
        e, stiffness, _, v0 = PHASES[phase]
        elastic = BULK * (volumes - N * v0) ** 2 / (2 * N * v0)
        return N * e + stiffness * MODELS[phase][model] * squares / 2 + elastic

    def frames(self, state, drivers, models):
        samples = []
        for driver in drivers:
            (source,) = self.select(state, driver)
            volumes, squares = source.sample.volumes, self.squares[source.file]
            table = np.full((len(self.models), len(volumes)), np.nan)
            for model in models:
                table[model] = self.energy(state.phase, model, squares, volumes)
            samples.append(PhaseSample(driver, state.temperature_k, state.pressure_gpa, table, volumes))
            self.evaluated.append(Sampled(driver, state))
        return StateFrames(tuple(samples), SimpleNamespace(n_atoms=N), len(volumes))


def boundary(phases, t, sigma, p_gpa=0.0):
    return {"phases": list(phases), "pressure_gpa": p_gpa, "temperature_k": t, "sigma_k": sigma}


def estimate(library, anchors, targets):
    task = {"schema": 1, "task": "calibration-step", "models": [str(i) for i in range(len(library.models))]}
    task |= {"samples": [{"file": "none", "model": 0}], "tolerance_k": 2.0, "anchors": anchors, "targets": targets}
    return estimate_targets(library, read_task(task))


def plan(phases, *states_):
    return [(phase, model, t, p_gpa) for model, t, p_gpa in states_ for phase in phases]


ANCHOR_K = round(boundary_k("AB", 0), 3)


@pytest.fixture(autouse=True)
def _every_frame_is_independent(monkeypatch):
    """One shape of every MBAR, so that it is compiled once."""
    for module in (states, phase_mbar):
        monkeypatch.setattr(module, "subsample", lambda n, g: np.arange(n))


@pytest.mark.parametrize(
    ("distance_k", "between_k", "start_k"),
    [(60.0, None, ANCHOR_K), (700.0, None, ANCHOR_K + 700), (700.0, 100.0, ANCHOR_K + 600)],
    ids=["close: one group", "far: enthalpies all the way", "mixed: enthalpies to where MBAR begins"],
)
def test_delta_g_at_the_target_is_exact(distance_k, between_k, start_k):
    target_k = ANCHOR_K + distance_k
    sampled = [(0, ANCHOR_K, 0.0), *((model, target_k, 0.0) for model in range(3))]
    if between_k is not None:
        sampled.append((0, target_k - between_k, 0.0))
    library = Springs(np.random.default_rng(1), plan("AB", *sampled), 3, 400)
    anchor = {**boundary("AB", boundary_k("AB", 0), 1e-6), "model": 0}
    (found,), joined = estimate(library, [anchor], [boundary("AB", target_k, 1.0)])
    error = found.delta_g.value - delta_g("AB", 2, target_k)
    assert abs(error) < 4 * found.delta_g.sigma
    assert found.delta_g.sigma < (3e-4 if start_k == ANCHOR_K else 1.5e-3)  # an interval that says something
    assert found.anchors.start_k == pytest.approx(start_k)
    assert sorted({key.model for key in joined[state_of("A", target_k, 0.0)].phi}) == [0, 1, 2]
    assert abs(found.delta_g.value - delta_g("AB", 0, target_k)) > 8 * found.delta_g.sigma
    # Negative control: without the part from the anchor to the target it would be far off.
    assert abs(delta_g("AB", 0, target_k)) > 20 * found.delta_g.sigma
    if start_k == ANCHOR_K:
        assert found.delta_g.sigma_of("anchor:heat-capacity") < 1e-9


def test_what_cannot_overlap_is_not_evaluated():
    far_k = ANCHOR_K + 700
    library = Springs(np.random.default_rng(2), plan("AB", (0, ANCHOR_K, 0.0), (0, far_k, 0.0), (1, far_k, 0.0)), 2)
    groups = groups_in_reach(library, "A", 0)
    assert sorted(len(group) for group in groups) == [1, 2]
    assert groups_in_reach(library, "A", 1) == [[Sampled(1, state_of("A", far_k, 0.0))]]
    anchor = {**boundary("AB", ANCHOR_K, 1.0), "model": 0}
    estimate(library, [anchor], [boundary("AB", far_k, 1.0)])
    assert {key.state.temperature_k for key in library.evaluated} == {round(far_k, 3)}


def test_models_that_do_not_overlap_are_refused_and_the_missing_states_named(monkeypatch):
    monkeypatch.setitem(MODELS, "B", (1.0, 0.4))
    target_k = ANCHOR_K + 60
    sampled = plan("AB", (0, ANCHOR_K, 0.0), (0, target_k, 0.0), (1, target_k, 0.0))
    library = Springs(np.random.default_rng(3), sampled, 2)
    anchor = {**boundary("AB", ANCHOR_K, 1.0), "model": 0}
    message = r"B at .* models 0, 1: the overlap of .* missing states: \d+ between model 0 at .* and model 1 at "
    with pytest.raises(OverlapError, match=message):
        estimate(library, [anchor], [boundary("AB", target_k, 1.0)])


def test_errors_and_their_correlation_over_targets_are_right(monkeypatch):
    """Two boundaries at two pressures that share phase A, repeated: what is reported is what is found."""
    monkeypatch.setitem(MODELS, "A", (1.0, 1.2))
    targets = [("AB", 90.0, 0.0), ("AC", -20.0, 0.1)]
    anchors_k = [round(boundary_k(phases, 0, p_gpa), 3) for phases, _, p_gpa in targets]
    targets_k = [t + distance for t, (_, distance, _) in zip(anchors_k, targets, strict=True)]
    sampled = []
    for (phases, _, p_gpa), anchor_k, target_k in zip(targets, anchors_k, targets_k, strict=True):
        sampled += plan(phases, (0, anchor_k, p_gpa), (0, target_k, p_gpa), (1, target_k, p_gpa))
    truth = np.array([delta_g(phases, 1, t, p) for (phases, _, p), t in zip(targets, targets_k, strict=True)])
    wanted = [boundary(phases, t, 1.0, p) for (phases, _, p), t in zip(targets, targets_k, strict=True)]
    rng, n_repeats, sigma_k = np.random.default_rng(4), 200, 0.1
    z, z_apart, ratios = [], [], []
    for _ in range(n_repeats):
        measured = [
            {**boundary(phases, rng.normal(boundary_k(phases, 0, p), sigma_k), sigma_k, p), "model": 0}
            for phases, _, p in targets
        ]
        found, joined = estimate(Springs(rng, sampled, 2, {"A": 40, "B": 160, "C": 160}), measured, wanted)
        reported = covariance([one.delta_g for one in found])
        errors = np.array([one.delta_g.value for one in found]) - truth
        z.append(
            [*errors / np.sqrt(np.diag(reported)), (errors[0] - errors[1]) / np.sqrt([1, -1] @ reported @ [1, -1])]
        )
        z_apart.append((errors[0] - errors[1]) / np.sqrt(np.trace(reported)))
        ratios.append(reported[0, 1] / np.sqrt(reported[0, 0] * reported[1, 1]))
    spread = 4 / np.sqrt(2 * n_repeats)
    assert np.abs(np.mean(z, axis=0)).max() < 4 / np.sqrt(n_repeats)
    assert np.abs(np.std(z, axis=0) - 1).max() < spread
    assert np.mean(ratios) > 0.4
    assert len(joined[state_of("A", targets_k[0], 0.0)].phi) == 6
    # Negative control: targets taken as independent would claim too large an error of their difference, by 2σ or more.
    assert np.std(z_apart) < 1 - spread / 2


def test_enthalpies_and_mbar_of_the_same_frames_add_up_with_the_right_error():
    """Mixed: enthalpies lead over 250 K to the first of two states at which MBAR goes on, over 150 K."""
    start_k, target_k = ANCHOR_K + 250, ANCHOR_K + 400
    sampled = plan("AB", (0, ANCHOR_K, 0.0), (0, start_k, 0.0), (0, target_k, 0.0), (1, target_k, 0.0))
    anchor = {**boundary("AB", boundary_k("AB", 0), 1e-6), "model": 0}
    rng, n_repeats, z = np.random.default_rng(6), 50, []
    for _ in range(n_repeats):
        (found,), _ = estimate(Springs(rng, sampled, 2, 60), [anchor], [boundary("AB", target_k, 1.0)])
        assert found.anchors.start_k == pytest.approx(start_k)
        error = found.delta_g.value - delta_g("AB", 1, target_k)
        z.append(error / found.delta_g.sigma)
    assert abs(np.mean(z)) < 4 / np.sqrt(n_repeats)
    assert abs(np.std(z) - 1) < 4 / np.sqrt(2 * n_repeats)


def test_a_covariance_matrix_becomes_independent_parts():
    rng = np.random.default_rng(5)
    root = rng.normal(size=(4, 3))
    numbers = correlated(np.arange(4.0), root @ root.T, "x")
    assert covariance(numbers) == pytest.approx(root @ root.T)
    assert [number.value for number in numbers] == [0, 1, 2, 3]


# -- anchors of other pressures


def carried_plan(pressures, anchors, models=(0, 1)):
    """Both phases under all models at the boundary of model 1, and under model 0 at its anchors."""
    states_ = [(0, round(boundary_k("AB", 0, p), 3), p) for p in anchors]
    states_ += [(model, round(boundary_k("AB", 1, p), 3), p) for p in pressures for model in models]
    return plan("AB", *states_)


def anchor_at(p_gpa, sigma_k=0.5, error_k=0.0, model=0, phases="AB"):
    return {**boundary(phases, boundary_k(phases, model, p_gpa) + error_k, sigma_k, p_gpa), "model": model}


def target_at(p_gpa):
    return boundary("AB", round(boundary_k("AB", 1, p_gpa), 3), 1.0, p_gpa)


def with_noise(rng, targets, anchored, sigma_k):
    """Estimates at targets from anchors with errors of their own, and the anchors."""
    library = Springs(rng, carried_plan(targets, anchored), 2, 60)
    anchors = [anchor_at(p, sigma_k, rng.normal(0.0, sigma_k)) for p in anchored]
    return estimate(library, anchors, [target_at(p) for p in targets])[0], library, anchors


def off_in_sigmas(found):
    """How far the temperatures are off, in their own errors."""
    return [(one.temperature.value - one.target.temperature_k) / one.temperature.sigma for one in found]


def test_an_anchor_is_carried_over_pressures():
    library = Springs(np.random.default_rng(7), carried_plan((0.0, 1.0, 2.0), (0.0,)), 2, 400)
    found, joined = estimate(library, [anchor_at(0.0, 0.1)], [target_at(p) for p in (0.0, 1.0, 2.0)])
    for one in found:
        t, p = one.target.temperature_k, one.target.pressure_gpa
        assert abs(one.delta_g.value) < 4 * one.delta_g.sigma < 4e-3  # both models are at their boundary, of model 1
        assert (one.anchors.pressures_gpa, one.anchors.chi2) == ((0.0,), 0.0)
        # Negative control: without the work of pressure, or with its sign reversed, it would be far off.
        assert abs(delta_g("AB", 1, t, 0.0)) > 8 * one.delta_g.sigma or p == 0
        # `chain` is the change of models at the target alone.
        exact = delta_g("AB", 1, t, p) - delta_g("AB", 0, t, p)
        assert abs(one.delta_g.value - one.anchors.delta_g.value - exact) < 4 * one.chain.sigma + 1e-4
    assert {key.state.pressure_gpa for key in joined[state_of("A", found[2].target.temperature_k, 2.0)].phi} == {
        0,
        1,
        2,
    }
    assert found[1].temperature.sigma < found[2].temperature.sigma
    shared = covariance([one.delta_g for one in found])
    assert shared[1, 2] > 0.2 * np.sqrt(shared[1, 1] * shared[2, 2])


def test_intervals_of_carried_anchors_are_honest():
    """Anchors with noise at both ends: in between T is covered, and better known than by one anchor alone."""
    rng, n_repeats, sigma_k, ends, targets = np.random.default_rng(8), 24, 4.0, (0.0, 2.0), (0.0, 1.0, 2.0)
    z, chi2 = [], []
    for _ in range(n_repeats):
        found, library, anchors = with_noise(rng, targets, ends, sigma_k)
        z.append(off_in_sigmas(found))
        chi2.append(found[1].anchors.chi2)
    assert [sorted(one.anchors.pressures_gpa) for one in found] == [[0.0], [0.0, 2.0], [2.0]]
    assert np.abs(np.mean(z, axis=0)).max() < 4 / np.sqrt(n_repeats)
    assert 0.5 < np.mean(np.abs(z) < 1) < 0.85
    assert 0.3 < np.mean(chi2) < 2.2  # 1 ± 0.29
    ((alone,), _) = estimate(library, anchors[:1], [target_at(1.0)])
    widened = np.sqrt(max(1.0, chi2[-1]))
    assert found[1].temperature.sigma < 0.85 * widened * alone.temperature.sigma


def test_anchors_that_disagree_are_told_and_widen_the_interval():
    library = Springs(np.random.default_rng(9), carried_plan((0.0, 1.0, 2.0), (0.0, 2.0)), 2, 100)
    agree, disagree = (
        estimate(library, [anchor_at(0.0, 2.0), anchor_at(2.0, 2.0, error_k=error)], [target_at(1.0)])[0][0]
        for error in (0.0, 30.0)
    )
    assert agree.anchors.chi2 < 8
    assert disagree.anchors.chi2 > 40
    assert disagree.temperature.sigma > 2.5 * agree.temperature.sigma


def test_many_anchors_are_a_smooth_function_of_pressure_with_honest_intervals():
    """Six anchors of 6 K: T is covered at every target, and better known than by the anchor there alone."""
    rng, n_repeats, sigma_k, pressures = np.random.default_rng(13), 20, 6.0, tuple(np.linspace(0.0, 2.5, 6))
    z, chi2, sigma = [], [], []
    for _ in range(n_repeats):
        found, library, anchors = with_noise(rng, pressures, pressures, sigma_k)
        z.append(off_in_sigmas(found))
        chi2.append(found[0].anchors.chi2)
        sigma.append(found[2].temperature.sigma if chi2[-1] < 3 else np.nan)
    assert {one.anchors.dof for one in found} == {3}
    assert found[2].anchors.pressures_gpa == (1.0, 0.5, 1.5, 0.0, 2.0, 2.5)
    assert np.abs(np.mean(z, axis=0)).max() < 4 / np.sqrt(n_repeats)
    assert 0.55 < np.mean(np.abs(z) < 1) < 0.85
    assert 1.8 < np.mean(chi2) < 4.6  # 3 ± 0.55
    alone = estimate(library, anchors, [target_at(1.0)])[0][0]
    assert alone.anchors.dof == 0
    assert np.nanmean(sigma) < 0.8 * alone.temperature.sigma


def test_an_anchor_that_is_off_is_told_and_pulls_its_own_target_only_in_part():
    pressures = tuple(np.linspace(0.0, 2.5, 6))
    library = Springs(np.random.default_rng(14), carried_plan(pressures, pressures), 2, 60)
    anchors = [anchor_at(p, 2.0, error_k=40.0 if i == 2 else 0.0) for i, p in enumerate(pressures)]
    found, _ = estimate(library, anchors, [target_at(p) for p in pressures])
    assert found[2].anchors.chi2 > 40
    assert 4 < found[2].temperature.value - found[2].target.temperature_k < 25
    three, _ = estimate(library, anchors[:3], [target_at(p) for p in pressures[:3]])  # too few to smooth
    assert [one.anchors.dof for one in three] == [0, 0, 0]
    assert three[2].temperature.value - three[2].target.temperature_k == pytest.approx(40, abs=8)


def test_a_gap_in_pressure_is_refused_with_a_remedy():
    library = Springs(np.random.default_rng(10), carried_plan((0.0, 12.0), (0.0,)), 2, 100)
    message = r"A\|B: the samples do not lead from the anchor at 0 GPa to the target at 12 GPa, .* anchor at 12 GPa"
    with pytest.raises(OverlapError, match=message):
        estimate(library, [anchor_at(0.0)], [target_at(12.0)])


def test_which_anchors_count():
    library = Springs(np.random.default_rng(11), carried_plan((0.0, 1.0), (0.0, 1.0)), 2, 100)

    def used(*anchors):
        (found,), _ = estimate(library, anchors, [target_at(1.0)])
        return found.anchors.pressures_gpa, found.temperature.value

    assert used(anchor_at(0.0), anchor_at(1.0))[0] == (1.0,)  # its own pressure
    assert used(anchor_at(1.0), anchor_at(0.0, model=1))[0] == (0.0,)  # the newest model
    other = anchor_at(1.0, error_k=50.0, phases="AC")
    assert used(other, anchor_at(0.0), other) == used(anchor_at(0.0))  # no other boundary
    with pytest.raises(InputError, match=r"no anchor for A\|B at 1 GPa"):
        used(other)
    # A model that was not sampled at the target does not count, though its anchor is at the target's pressure.
    library = Springs(np.random.default_rng(12), carried_plan((0.0, 1.0), (0.0, 1.0), models=(1,)), 2, 100)
    with pytest.raises(DataError, match=r"under the model of an anchor \(model 0\)"):
        used(anchor_at(0.0), anchor_at(1.0))

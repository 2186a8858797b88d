"""Whole calibration steps on the exactly solvable toy model: hidden truth, null test, and everything that must fail."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from phasecal.calibration import states
from phasecal.difftre.steps import GaussNewton
from phasecal.errors import ConvergenceError, DataError, InputError, NumericError, OverlapError, PhaseError
from phasecal.potentials.base import load_model
from phasecal.task import run_task

TARGET_K = 1326.24
"""Melting point of the toy at θ = 0: the hidden truth."""
START = np.array([0.0, 0.0, 0.0, 0.0, 0.0, -0.01, -0.02, 0.0, 0.0])
"""Parameters of a model that melts at 1181 K."""
FCC = {"name": "fcc", "kind": "phase", "structure": {"prototype": "fcc", "elements": ["Cu"], "a": 3.6}}
BCC = {"name": "bcc", "kind": "competitor", "structure": {"prototype": "bcc", "elements": ["Cu"], "a": 2.9}}


class Calibration:
    """A folder that grows round by round, as the work chain would do it."""

    def __init__(self, toy, folder, theta, *, seed=1, pressures=(0.0,), anchor_error_k=0.0):
        self.toy, self.folder, self.rng = toy, folder, np.random.default_rng(seed)
        self.models, self.samples, self.anchors = [], [], []
        self.targets = [self.boundary(pressure, TARGET_K, 0.5) for pressure in pressures]
        self.settings = {"step": {}, "protect": [], "tolerance_k": 1.0}
        self.add_model(toy.make_model(theta))
        for pressure in pressures:
            melting = self.exact(pressure).melting_k()
            self.anchors.append({**self.boundary(pressure, melting + anchor_error_k, 4.0), "model": 0})
            self.add_samples(round(melting, 1), pressure)

    @staticmethod
    def boundary(pressure, temperature, sigma):
        return {
            "phases": ["fcc", "liquid"],
            "pressure_gpa": pressure,
            "temperature_k": temperature,
            "sigma_k": sigma,
        }

    def exact(self, pressure=0.0, model=-1):
        return self.toy.Exact(self.models[model].theta, pressure_gpa=pressure)

    def add_model(self, model):
        self.models.append(model)
        model.save(self.folder / f"model_{len(self.models) - 1}.safetensors")

    def add_samples(self, temperature, pressure=0.0, *, edit=None, **kwargs):
        for phase in ("fcc", "liquid"):
            sample = self.exact(pressure).sample(self.rng, phase, temperature, tau=0.7, **kwargs)
            sample = replace(sample, model_hash=self.models[-1].hash)
            sample = sample if edit is None else edit(sample)
            name = f"sample_{len(self.samples)}.npz"
            sample.save(self.folder / name)
            self.samples.append({"file": name, "model": len(self.models) - 1})

    def sample_targets(self, **kwargs):
        for target in self.targets:
            self.add_samples(target["temperature_k"], target["pressure_gpa"], **kwargs)

    def task(self):
        return {
            "schema": 1,
            "task": "calibration-step",
            "models": [f"model_{i}.safetensors" for i in range(len(self.models))],
            "samples": self.samples,
            "anchors": self.anchors,
            "targets": self.targets,
            **self.settings,
        }

    def update(self):
        path = self.folder / "task.json"
        path.write_text(json.dumps(self.task()))
        run_task(path)
        return json.loads((self.folder / "result.json").read_text())

    def run_round(self, **kwargs):
        """Sample, update, and go on with the next model; returns the result and the true T of the sampled model."""
        self.sample_targets(**kwargs)
        truth = [self.exact(target["pressure_gpa"]).melting_k() for target in self.targets]
        result = self.update()
        self.add_model(load_model(self.folder / result["model_file"]))
        return result, truth


@pytest.fixture
def calibration(toy, tmp_path):
    return Calibration(toy, tmp_path, START)


def statistical_sigma(target):
    """Error without that of the anchor, which is exact in these tests."""
    return math.hypot(target["chain_sigma_k"], target["carry_sigma_k"])


@pytest.mark.parametrize("method", ["gauss-newton", "adam"])
def test_the_hidden_truth_is_found(calibration, method):
    calibration.settings["step"] = {"method": method, "max_sd": 0.3, "learning_rate": 1e-3, "n_eff_floor": 0.95}
    calibration.settings["protect"] = [FCC, BCC] if method == "gauss-newton" else []
    results = []
    for _ in range(3 if method == "gauss-newton" else 2):
        result, truth = calibration.run_round()
        (target,) = result["targets"]
        assert abs(target["temperature_k"] - truth[0]) < 4 * statistical_sigma(target)
        results.append(result)
    final = calibration.exact().melting_k()
    assert abs(final - TARGET_K) < 4 * statistical_sigma(target) + 1.0
    assert abs(results[0]["targets"][0]["temperature_k"] - 1181) < 12
    assert abs(target["predicted_temperature_k"] - final) < 4 * target["predicted_sigma_k"]
    assert not results[0]["converged"]
    assert all(phase["sd_beta_du"] <= 0.3 for r in results for phase in r["phases"]) or method == "adam"
    for value in results[-1]["protected"]:
        tolerance = {"eV/atom": 1e-6, "GPa": 1e-3}[value["unit"]]
        assert abs(value["value_after"] - value["value_before"]) <= tolerance


def test_the_result_says_everything(calibration):
    calibration.settings["protect"] = [FCC, BCC]
    result, _ = calibration.run_round()
    assert list(result) == [
        "schema",
        "task",
        "model_file",
        "model_hash",
        "parent",
        "converged",
        "targets",
        "phases",
        "step",
        "protected",
        "force_rms_change_ev_a",
        "reference",
        "cold",
    ]
    assert result["parent"] == calibration.models[0].hash
    assert result["model_hash"] == calibration.models[1].hash
    assert calibration.models[1].parent == calibration.models[0].hash
    assert result["force_rms_change_ev_a"] > 0
    target = result["targets"][0]
    parts = math.hypot(target["anchor_sigma_k"], target["chain_sigma_k"])
    assert target["sigma_k"] == pytest.approx(parts, rel=1e-9)
    assert target["chain_sigma_k"] == 0.0
    assert 0 < target["carry_sigma_k"] < target["anchor_sigma_k"]
    exact = calibration.exact(model=0)
    assert abs(target["delta_g_ev"] - exact.delta_g(TARGET_K)) < 4 * target["delta_g_sigma_ev"]
    assert abs(target["delta_h_ev"] - exact.delta_h(TARGET_K)) < 4 * target["delta_h_sigma_ev"]
    slope = (calibration.toy.Exact(START, pressure_gpa=1e-3).melting_k() - exact.melting_k()) / 1e-3
    assert target["slope_k_gpa"] == pytest.approx(slope, rel=0.2)
    assert [phase["phase"] for phase in result["phases"]] == ["fcc", "liquid"]
    assert all(phase["overlap"] > 0.1 and phase["n_frames"] > 20 for phase in result["phases"])
    assert result["phases"][0]["joined"] == [f"fcc at {t} K and 0 GPa, model 0" for t in ("1180.6", "1326.24")]
    matrix = np.array(result["phases"][0]["overlap_matrix"])
    assert matrix.shape == (2, 2) and np.allclose(matrix.sum(axis=1), 1, atol=1e-3)
    assert target["mbar_from_k"] == pytest.approx(1180.6, abs=0.01)
    assert [value["name"] for value in result["protected"]][:3] == ["fcc energy", "fcc pressure", "fcc C11"]
    assert result["cold"]["fcc"]["next"]["cell_a"][0] == pytest.approx(12.0349 ** (1 / 3) * 4 ** (1 / 3), abs=1e-3)
    assert set(result["cold"]["fcc"]["current"]) == {"cell_a", "energy_ev", "volume_a3", "elastic_gpa"}
    assert set(result["cold"]["bcc"]["original"]) == {"cell_a", "energy_ev", "volume_a3"}


def test_null_a_model_at_its_target_stays_within_noise(toy, tmp_path):
    calibration = Calibration(toy, tmp_path, np.zeros(9), anchor_error_k=2.5)
    result, _ = calibration.run_round()
    (target,) = result["targets"]
    assert abs(target["temperature_k"] - TARGET_K - 2.5) < 0.3
    assert abs(calibration.exact().melting_k() - TARGET_K) < 4.0
    assert result["phases"][1]["sd_beta_du"] < 0.1
    assert not result["converged"]
    calibration.models.pop()
    calibration.settings["tolerance_k"] = 3.0
    assert calibration.update()["converged"]


@pytest.mark.parametrize(("anchor_sigma_k", "converged"), [(4.0, False), (400.0, True)])
def test_rounds_end_where_the_step_itself_would_leave_the_difference(toy, tmp_path, anchor_sigma_k, converged):
    calibration = Calibration(toy, tmp_path, np.zeros(9), anchor_error_k=20.0)
    calibration.anchors[0]["sigma_k"] = anchor_sigma_k
    calibration.settings["tolerance_k"] = 5.0
    result, _ = calibration.run_round()
    (target,) = result["targets"]
    assert abs(target["temperature_k"] - TARGET_K - 20) < 1
    assert (abs(target["predicted_temperature_k"] - target["temperature_k"]) < 5) is converged
    assert result["converged"] is converged


@pytest.mark.parametrize("anchors", [(0.0, 0.05), (0.0,)], ids=["each with its anchor", "one anchor"])
def test_several_pressures_are_met_together(toy, tmp_path, anchors):
    calibration = Calibration(toy, tmp_path, START, pressures=(0.0, 0.05), seed=3)
    calibration.anchors = [anchor for anchor in calibration.anchors if anchor["pressure_gpa"] in anchors]
    truth_k = toy.Exact(np.zeros(9), pressure_gpa=0.05).melting_k()
    calibration.targets[1]["temperature_k"] = round(truth_k, 2)
    assert truth_k > TARGET_K + 50
    for _ in range(2):
        result, truth = calibration.run_round()
        for target, true_k in zip(result["targets"], truth, strict=True):
            assert abs(target["temperature_k"] - true_k) < 4 * statistical_sigma(target)
    assert len(result["phases"]) == 4
    assert [target["anchor_pressures_gpa"] for target in result["targets"]] == [[0.0], [anchors[-1]]]
    assert [target["anchor_chi2"] for target in result["targets"]] == [0.0, 0.0]
    for target in calibration.targets:
        wanted, got = target["temperature_k"], calibration.exact(target["pressure_gpa"]).melting_k()
        assert abs(got - wanted) < 6.0


@pytest.mark.parametrize("pressures, held", [((0.0,), True), ((0.0, 0.05), False)], ids=["one", "two"])
def test_the_change_of_volume_is_held_unless_targets_say_what_it_is(toy, tmp_path, monkeypatch, pressures, held):
    """Held at the original model's, it would hold the slope of the boundary there (Clausius and Clapeyron)."""
    seen = []
    step = GaussNewton.step
    monkeypatch.setattr(GaussNewton, "step", lambda self, problem: seen.append(problem) or step(self, problem))
    Calibration(toy, tmp_path, START, pressures=pressures).run_round()
    (problem,) = seen
    assert [target.volume is not None for target in problem.targets] == [held] * len(pressures)
    assert all(target.enthalpy is not None for target in problem.targets)


def test_the_newest_anchor_is_used_and_needs_no_chain(calibration):
    calibration.run_round()
    calibration.run_round()
    melting = calibration.exact().melting_k()
    calibration.anchors.append({**calibration.boundary(0.0, melting, 2.0), "model": 2})
    result, truth = calibration.run_round()
    (target,) = result["targets"]
    assert target["chain_sigma_k"] == 0.0
    assert target["anchor_sigma_k"] == pytest.approx(2.0, abs=0.3)
    assert abs(target["temperature_k"] - truth[0]) < 4 * statistical_sigma(target) + 0.05
    assert all(phase["overlap"] is None for phase in result["phases"])


def test_an_energy_offset_changes_nothing(toy, tmp_path):
    results = []
    for offset in (0.0, 2.5):
        folder = tmp_path / str(offset)
        folder.mkdir()
        calibration = Calibration(toy, folder, START)
        calibration.models.clear()
        calibration.samples.clear()
        calibration.add_model(toy.make_model(START, offset))

        def shift(sample, offset=offset):
            return replace(sample, energies=sample.energies + sample.n_atoms * offset)

        calibration.sample_targets(edit=shift)
        results.append(calibration.update())
    for key in ("delta_g_ev", "delta_h_ev", "temperature_k", "sigma_k", "predicted_temperature_k"):
        plain, shifted = (result["targets"][0][key] for result in results)
        assert shifted == pytest.approx(plain, rel=1e-6)


def test_swapped_phases_are_noticed(calibration):
    calibration.sample_targets()
    for entry in (*calibration.targets, *calibration.anchors):
        entry["phases"] = ["liquid", "fcc"]
    with pytest.raises(PhaseError, match="phases look swapped"):
        calibration.update()


def test_a_liquid_that_is_a_crystal_is_noticed(calibration):
    target = calibration.targets[0]["temperature_k"]
    for name in ("fcc", "liquid"):
        sample = calibration.exact().sample(calibration.rng, "fcc", target)
        replace(sample, phase=name).save(calibration.folder / f"{name}.npz")
        calibration.samples.append({"file": f"{name}.npz", "model": 0})
    with pytest.raises(PhaseError, match="must be positive"):
        calibration.update()


def test_a_sample_of_another_model_is_refused(calibration):
    calibration.run_round()
    calibration.samples[-1]["model"] = 1
    with pytest.raises(DataError, match="made by model"):
        calibration.update()


def test_printed_energies_of_another_potential_are_refused(calibration):
    def tamper(sample):
        return replace(sample, energies=sample.energies + 3e-4 * sample.n_atoms)

    calibration.sample_targets(edit=tamper)
    with pytest.raises(DataError, match=r"differ by up to 0\.0003 eV/atom"):
        calibration.update()


def test_missing_samples_and_anchors_are_named(calibration):
    with pytest.raises(DataError, match=r"no sample of fcc at 1326\.24 K and 0 GPa under the current model 0"):
        calibration.update()
    calibration.sample_targets()
    calibration.add_model(calibration.toy.make_model(0.9 * START))
    with pytest.raises(DataError, match="current model 1"):
        calibration.update()
    calibration.sample_targets()
    calibration.samples = [s for s in calibration.samples if s["model"] == 1]
    with pytest.raises(DataError, match=r"under the model of an anchor \(model 0\)"):
        calibration.update()
    calibration.anchors[0]["phases"] = ["bcc", "liquid"]
    with pytest.raises(InputError, match=r"no anchor for fcc\|liquid at 0 GPa"):
        calibration.update()


def test_models_without_overlap_are_refused_and_a_bridge_helps(toy, tmp_path):
    calibration = Calibration(toy, tmp_path, START)
    far = np.zeros(9)
    far[[5, 8]] = [-0.07, 0.07]
    calibration.sample_targets()
    calibration.add_model(toy.make_model(START + far))
    calibration.sample_targets()
    with pytest.raises(OverlapError, match=r"liquid at 1326\.24 K and 0 GPa, models 0, 1: .*sample a state between"):
        calibration.update()
    calibration.models.pop()
    calibration.samples = [s for s in calibration.samples if s["model"] == 0]
    for part in (1 / 3, 2 / 3, 1.0):
        calibration.add_model(toy.make_model(START + part * far))
        calibration.sample_targets()
    (target,) = calibration.update()["targets"]
    assert abs(target["temperature_k"] - calibration.exact().melting_k()) < 4 * statistical_sigma(target)


def test_models_too_far_apart_overlap_with_one_halfway(toy, tmp_path):
    """What a calibration does when a step was too long: the model halfway takes the place of the one at its end."""
    calibration = Calibration(toy, tmp_path, START)
    far = np.zeros(9)
    far[[5, 8]] = [-0.07, 0.07]
    calibration.sample_targets()
    calibration.add_model(toy.make_model(START + far))
    calibration.sample_targets()
    with pytest.raises(OverlapError):
        calibration.update()
    for halvings in (1, 2):
        calibration.models.pop()
        calibration.samples = [s for s in calibration.samples if s["model"] == 0]
        calibration.add_model(toy.make_model(START + far / 2**halvings))
        calibration.sample_targets()
        try:
            (target,) = calibration.update()["targets"]
        except OverlapError:
            continue
        break
    assert abs(target["temperature_k"] - calibration.exact().melting_k()) < 4 * statistical_sigma(target)


def test_a_model_without_a_finite_energy_is_named(calibration, monkeypatch):
    calibration.sample_targets()
    monkeypatch.setattr(states, "check_energies", lambda *_: None)  # which notices most of them sooner
    monkeypatch.setattr(states, "prepare", lambda model, frames: Undefined(frames))
    with pytest.raises(NumericError, match=r"model 0 has no finite energy for 1 of the frames of fcc at"):
        calibration.update()


class Undefined:
    """Frames, one of which has no energy."""

    def __init__(self, frames):
        self.values = np.zeros(frames.n_frames)
        self.values[3] = np.nan

    def energies(self, theta):
        return self.values


def test_short_samples_are_refused(calibration):
    calibration.sample_targets(n_frames=5)
    with pytest.raises(ConvergenceError, match="sample longer"):
        calibration.update()


def test_models_that_are_not_versions_of_one_are_refused(calibration):
    calibration.sample_targets()
    calibration.add_model(calibration.toy.make_model(START, offset=1.0))
    with pytest.raises(DataError, match="differs from model_0"):
        calibration.update()


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({"prototype": "fcc", "elements": ["Al"], "a": 4.0}, "fcc holds Al"),
        ({"prototype": "quasi", "elements": ["Cu"], "a": 4.0}, "unknown prototype"),
    ],
)
def test_protected_structures_must_exist_in_the_model(calibration, structure, message):
    calibration.settings["protect"] = [{"name": "fcc", "kind": "phase", "structure": structure}]
    calibration.sample_targets()
    with pytest.raises(InputError, match=message):
        calibration.update()

"""The report: complete, minimal and hostile data; what must be shown, and what must not."""

from __future__ import annotations

import copy
import csv
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasecal.errors import DataError, InputError
from phasecal.experiment import TRANSITIONS, reference
from phasecal.report import write_report
from phasecal.report.checks import collect_warnings, outcomes
from phasecal.report.data import read_data
from phasecal.report.figures import convergence
from phasecal.report.markup import tag
from phasecal.report.numbers import count, duration, percent, tabulated, with_sigma
from phasecal.report.runs import MAX_POINTS, thin

HASHES = [f"{index:x}" * 64 for index in range(1, 7)]
TARGET = {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "target_k": 1357.77}


def replica(rng: np.random.Generator, mean: float) -> dict[str, Any]:
    time = np.linspace(0, 120, 2000)
    noise = np.convolve(rng.normal(size=time.size), np.ones(60) / 60, mode="same") * 60
    fraction = 0.5 + np.convolve(rng.normal(size=200), np.ones(20) / 20, mode="same") * 0.15
    return {
        "time_ps": time.tolist(),
        "temperature_k": (mean + noise).tolist(),
        "solid_fraction_time_ps": time[::10].tolist(),
        "solid_fraction": fraction.tolist(),
        "temperature_mean_k": mean,
        "temperature_sigma_k": 5.0,
    }


def anchor(rng: np.random.Generator, label: str, model: int, value: float, sigma: float) -> dict[str, Any]:
    return {
        "label": label,
        "model_hash": HASHES[model],
        "pk": 100 + model,
        "temperature_k": value,
        "sigma_k": sigma,
        "seeds": [11, 12],
        "replicas": [replica(rng, value - sigma), replica(rng, value + sigma)],
    }


def calibration_round(index: int, value: float, n_eff: float, sd: float) -> dict[str, Any]:
    return {
        "schema": 1,
        "task": "calibration-step",
        "parent": HASHES[index],
        "model_hash": HASHES[index + 1],
        "pk": 200 + index,
        "model_pk": 301 + index,
        "converged": index == 3,
        "targets": [
            {
                **TARGET,
                "temperature_k": value,
                "sigma_k": 6.0 if index < 4 else 3.1,
                "anchor_sigma_k": 5.8 if index < 4 else 2.9,
                "chain_sigma_k": 1.1,
                "predicted_temperature_k": 1357.5,
                "delta_h_ev": 0.118,
            }
        ],
        "phases": [
            {"phase": "fcc", "pressure_gpa": 0.0, "n_eff": n_eff, "sd_beta_du": sd, "overlap": 0.31},
            {
                "phase": "liquid",
                "pressure_gpa": 0.0,
                "n_eff": n_eff - 0.1,
                "sd_beta_du": sd * 0.8,
                "overlap": 0.28,
            },
        ],
    }


def complete_data() -> dict[str, Any]:
    """A calibrated copper campaign, as the plugin hands it over."""
    rng = np.random.default_rng(7)
    r = np.linspace(0.5, 6.5, 800)
    pair = 0.35 * (np.exp(-2 * 1.8 * (r - 2.6)) - 2 * np.exp(-1.8 * (r - 2.6))) * np.clip((6.2 - r) / 2, 0, 1)
    bump = 0.006 * np.exp(-(((r - 3.1) / 0.35) ** 2)) - 0.003 * np.exp(-(((r - 4.4) / 0.4) ** 2))
    rho = np.linspace(0, 60, 200)
    r_rdf = np.linspace(0.05, 8, 160)
    rdf = np.clip(
        1 + 1.8 * np.exp(-(((r_rdf - 2.5) / 0.28) ** 2)) + 0.3 * np.cos(2.6 * (r_rdf - 2.5)) * np.exp(-r_rdf / 5),
        0,
        None,
    )
    rdf *= 1 / (1 + np.exp(-(r_rdf - 2.05) / 0.06))
    boundary = {
        "phases": ["fcc", "liquid"],
        "pressure_gpa": 0.0,
        "temperature_k": 1362.4,
        "sigma_k": 2.9,
        "target_k": 1357.77,
        "target_sigma_k": 0.5,
        "initial_k": 1130.2,
        "initial_sigma_k": 5.2,
        "method": "coexistence",
        "seeds": [9301, 9302],
        "pk": 991,
    }
    return {
        "title": "copper",
        "pk": 812,
        "uuid": "2f0f1a8e-4a32-4b0f-9a34-1f6f5e1d9c11",
        "created": "2026-03-01T10:00:00+00:00",
        "campaign_file": "schema: 1\ntitle: copper\nmodel:\n  family: eam\n  source: lammps://Cu_zhou.eam.alloy\n",
        "versions": {"phasecal": "0.1.0", "lammps": "22 Jul 2025", "jax": "0.8.1"},
        "summary": {
            "schema": 1,
            "task": "calibrate",
            "state": "finished",
            "exit_code": 0,
            "boundaries": [boundary],
            "model": {"pk": 305, "hash": HASHES[5], "parent": HASHES[4]},
            "cost": {"atom_steps": 3.1e8, "wall_s": 652.0, "rounds": 5},
        },
        "rounds": [
            calibration_round(0, 1130.2, 0.52, 2.0),
            calibration_round(1, 1208.0, 0.49, 2.0),
            calibration_round(2, 1296.3, 0.55, 1.9),
            calibration_round(3, 1359.1, 0.97, 0.2),
            calibration_round(4, 1364.0, 0.93, 0.4),
        ],
        "anchors": [
            anchor(rng, "initial", 0, 1130.2, 5.2),
            anchor(rng, "re-anchor", 4, 1364.0, 2.9),
            anchor(rng, "verification", 5, 1362.4, 2.9),
        ],
        "functions": {
            "pair": {"Cu-Cu": {"r": r.tolist(), "initial": pair.tolist(), "final": (pair + bump).tolist()}},
            "density": {"Cu": {"r": r.tolist(), "initial": np.exp(-r).tolist(), "final": np.exp(-r).tolist()}},
            "embedding": {
                "Cu": {
                    "rho": rho.tolist(),
                    "initial": (-np.sqrt(rho)).tolist(),
                    "final": (-np.sqrt(rho) + 0.01 * np.sin(rho / 10)).tolist(),
                }
            },
        },
        "properties": [
            property_("a0", "Å", 3.61490, None, 3.61492, None, protected=True),
            property_("a[300 K]", "Å", 3.6353, 0.0004, 3.6361, 0.0004),
            property_("enthalpy_change[fcc-liquid]", "meV/atom", 104.2, 1.1, 128.8, 1.2),
            property_("volume_change[fcc-liquid]", "Å³/atom", 0.55, 0.01, 0.58, 0.01),
            property_("bulk_modulus", "GPa", 136.02, None, 136.04, None, protected=True),
            property_("C11", "GPa", 170.10, None, 170.15, None, protected=True),
            property_("C12", "GPa", 118.98, None, 118.99, None, protected=True),
            property_("C44", "GPa", 76.20, None, 76.83, None),
            property_("cohesive_energy", "eV/atom", 3.5400, None, 3.5400, None, protected=True),
            property_("energy_difference[bcc-fcc]", "meV/atom", 51.8, None, 51.8, None, protected=True),
            property_("energy_difference[hcp-fcc]", "meV/atom", 7.9, None, 7.9, None, protected=True),
            property_("force_rms_change", "meV/Å", 0.0, None, 41.3, None),
            property_("diffusion", "m²/s", 4.9e-9, 0.2e-9, 3.6e-9, 0.2e-9),
        ],
        "rdf": {
            "r": r_rdf.tolist(),
            "initial": rdf.tolist(),
            "final": (1 + (rdf - 1) * 1.08).clip(0).tolist(),
        },
        "lineage": [
            {"pk": 300 + k, "hash": HASHES[k], "parent": HASHES[k - 1] if k else None, "round": k} for k in range(6)
        ],
        "cost": {"atom_steps": 3.1e8, "wall_s": 652.0, "rounds": 5},
        "warnings": [],
    }


def property_(
    name: str,
    unit: str,
    initial: float | None,
    initial_sigma: float | None,
    final: float | None = None,
    final_sigma: float | None = None,
    *,
    protected: bool = False,
) -> dict[str, Any]:
    return {
        "name": name,
        "symbol": "",
        "unit": unit,
        "initial": initial,
        "initial_sigma": initial_sigma,
        "final": final,
        "final_sigma": final_sigma,
        "protected": protected,
    }


def minimal_data() -> dict[str, Any]:
    """The least the plugin can hand over: a campaign that failed before its first anchor."""
    return {
        "title": "copper",
        "pk": 5,
        "summary": {"task": "calibrate", "state": "failed", "exit_code": 320, "boundaries": []},
    }


def transition_data() -> dict[str, Any]:
    """A measured transition: no rounds, no target, no final model other than the measured one."""
    data = minimal_data()
    rng = np.random.default_rng(3)
    data["summary"] = {
        "task": "transition",
        "state": "finished",
        "exit_code": 0,
        "boundaries": [
            {
                "phases": ["fcc", "liquid"],
                "pressure_gpa": 0.0,
                "temperature_k": 1326.3,
                "sigma_k": 4.1,
                "method": "coexistence",
                "seeds": [5, 6],
                "pk": 70,
            }
        ],
        "model": {"pk": 60, "hash": HASHES[0], "parent": None},
    }
    data["elements"] = ["Cu"]
    data["anchors"] = [anchor(rng, "initial", 0, 1326.3, 4.1)]
    data["properties"] = [property_("C11", "GPa", 169.9, None)]
    return data


class Outline(HTMLParser):
    """Collects what a browser would act on: elements, attributes, and the text that is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.hidden += tag in {"style", "script"}

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in {"style", "script"}

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text.append(data)


def outline(folder: Path) -> Outline:
    parser = Outline()
    parser.feed((folder / "report.html").read_text(encoding="utf-8"))
    parser.close()
    return parser


def shown(folder: Path) -> str:
    return " ".join(" ".join(outline(folder).text).split())


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(complete_data(), folder)


def test_complete_report_shows_before_training_verified_and_experiment(
    complete: tuple[Path, list[Path]],
) -> None:
    folder, files = complete
    text = shown(folder)
    for expected in (
        "1130.2 ± 5.2 K",
        "1362.4 ± 2.9 K",
        "1357.77 ± 0.50 K",
        "training estimate 1357.5 ± 3.1 K",
    ):
        assert expected in text
    assert "verified by coexistence, seeds 9301, 9302" in text
    assert HASHES[0] in text and HASHES[5] in text
    assert "Warning" not in text
    assert files[0] == folder / "report.html" and all(file.stat().st_size > 0 for file in files)
    names = {file.name for file in files}
    assert {"temperatures.png", "convergence.svg", "function-pair-Cu-Cu.png", "liquid-rdf.svg"} <= names
    assert {"interface-3-verification.png", "boundaries.csv", "properties.csv", "lineage.csv"} <= names
    assert "function-embedding-Cu.svg" in names and "function-density-Cu.svg" not in names  # ρ(r) did not change


def test_page_loads_nothing_and_is_small(complete: tuple[Path, list[Path]]) -> None:
    folder, _ = complete
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page) < 1_000_000
    assert not re.search(r"(?:src|href|action|data|poster)\s*=\s*[\"'](?!#)", page)
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    parser = outline(folder)
    assert not {name for name, _ in parser.elements} & {
        "script",
        "iframe",
        "link",
        "object",
        "embed",
        "img",
        "base",
    }
    policies = [a.get("content") for _, a in parser.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies and "default-src 'none'" in str(policies[0])


def test_every_figure_has_alternative_text_and_ids_are_unique(complete: tuple[Path, list[Path]]) -> None:
    folder, _ = complete
    parser = outline(folder)
    images = [attrs for _, attrs in parser.elements if attrs.get("role") == "img"]
    assert len(images) == sum(name == "svg" for name, _ in parser.elements) == 8
    assert all(len(str(image["aria-label"])) > 20 for image in images)
    ids = [attrs["id"] for _, attrs in parser.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = {str(attrs["xlink:href"])[1:] for name, attrs in parser.elements if name == "use"}
    assert used <= set(ids)


def test_the_same_data_give_the_same_bytes(complete: tuple[Path, list[Path]], tmp_path: Path) -> None:
    folder, _ = complete
    write_report(complete_data(), tmp_path)
    for name in ("report.html", "figures/convergence.svg", "tables/boundaries.csv"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


def test_tables_hold_full_precision(complete: tuple[Path, list[Path]]) -> None:
    folder, _ = complete
    with (folder / "tables" / "boundaries.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["result_k"]) == 1362.4 and float(row["result_sigma_k"]) == 2.9 and row["kind"] == "verified"
    with (folder / "tables" / "interface-temperature.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert 0 < len(rows) <= 6 * MAX_POINTS


@pytest.mark.parametrize("state", ["failed", "running"])
def test_minimal_data_give_a_page(tmp_path: Path, state: str) -> None:
    data = minimal_data()
    data["summary"]["state"] = state
    files = write_report(data, tmp_path)
    assert [file.name for file in files] == ["report.html"]
    assert state in shown(tmp_path) and "verdi process status 5" in shown(tmp_path)


def test_unfinished_campaign_shows_what_exists_and_no_result(tmp_path: Path) -> None:
    data = complete_data()
    data["summary"].update(state="failed", exit_code=520, model=None)
    data["summary"]["boundaries"][0].update(temperature_k=None, sigma_k=None, method=None, seeds=[], pk=None)
    data["rounds"] = [*data["rounds"][:2], {"schema": 1, "error": {"kind": "overlap", "message": "too far"}}]
    data["anchors"] = data["anchors"][:1]
    data["warnings"] = ["the liquid sample overlaps too little"]
    write_report(data, tmp_path)
    text = shown(tmp_path)
    assert "1130.2 ± 5.2 K → no verified result" in text and "failed, exit code 520" in text
    assert "Warning: the liquid sample overlaps too little" in text
    assert "there is no verified result" in text


def test_transition_shows_a_measured_temperature_beside_sgte(tmp_path: Path) -> None:
    write_report(transition_data(), tmp_path)
    text = shown(tmp_path)
    assert "1326.3 ± 4.1 K" in text and "measured by coexistence" in text and "1357.77" in text
    assert "Warning" not in text and "training" not in text and "What else changed" not in text


def test_a_verification_says_whether_its_method_is_another_than_the_anchors(tmp_path: Path) -> None:
    data = complete_data()
    data["summary"]["boundaries"][0].update(method="pinning", anchor_method="coexistence")
    write_report(data, tmp_path)
    assert "verified by pinning (anchor by coexistence)" in shown(tmp_path)


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> 铜\n $\\frac{ $ & </style>"


def test_hostile_strings_are_text(tmp_path: Path) -> None:
    data = complete_data()
    data.update(title=HOSTILE, uuid=HOSTILE, created=HOSTILE, campaign_file=HOSTILE, warnings=[HOSTILE])
    data["versions"] = {HOSTILE: HOSTILE}
    data["summary"]["state"] = HOSTILE
    data["summary"]["boundaries"].append({**data["summary"]["boundaries"][0], "phases": [HOSTILE, "=1+1"]})
    data["summary"]["boundaries"][0]["method"] = HOSTILE
    data["summary"]["model"]["hash"] = data["anchors"][2]["model_hash"] = data["rounds"][4]["model_hash"] = HOSTILE
    data["rounds"][0]["phases"][0]["phase"] = HOSTILE
    data["functions"]["pair"] = {HOSTILE: data["functions"]["pair"]["Cu-Cu"]}
    data["properties"].append({**property_(HOSTILE, HOSTILE, 1.0, 0.1, 2.0, 0.1), "symbol": HOSTILE})
    data["lineage"][0]["hash"] = HOSTILE
    data["cost"][HOSTILE] = 3.0
    files = write_report(data, tmp_path)
    parser = outline(tmp_path)
    assert not {name for name, _ in parser.elements} & {"script", "img"}
    assert not [key for _, attrs in parser.elements for key in attrs if key.startswith("on")]
    assert sum(name == "style" for name, _ in parser.elements) == 1 + 8  # the page's own, and one per figure
    assert HOSTILE in "".join(parser.text)
    assert all(tmp_path in file.resolve().parents and re.fullmatch(r"[\w.-]+", file.name) for file in files)
    assert "'=1+1" in (tmp_path / "tables" / "boundaries.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("sigma", [None, 0.0, -1.0, math.nan, math.inf])
def test_a_number_without_an_interval_is_not_shown(tmp_path: Path, sigma: float | None) -> None:
    data = complete_data()
    data["rdf"], data["functions"], data["anchors"] = None, {}, []
    data["summary"]["boundaries"][0].update(initial_k=1234.5, initial_sigma_k=sigma)
    data["properties"] = [
        property_("enthalpy_change[fcc-liquid]", "meV/atom", 104.25, 1.0, 123.75, sigma),
        property_("my own number", "kg", 77.125, sigma),
        property_("C11", "GPa", 170.1, None, 170.2, None),
    ]
    for entry in data["rounds"]:
        entry["targets"][0].update(temperature_k=1299.25, sigma_k=sigma)
    files = write_report(data, tmp_path)
    written = [file for file in files if file.suffix in {".html", ".csv"}]
    for number in ("1234.5", "123.75", "123.8", "77.125", "77.1", "1299.25", "1299.3"):
        assert not [file for file in written if number in file.read_text(encoding="utf-8")], number
    text = shown(tmp_path)
    assert "104.2 ± 1.0" in text  # has an interval
    assert "170.10" in text and "170.20" in text  # computed without sampling
    assert "Not shown, because it came without an interval: ΔH (fcc → liquid), my own number" in text


def test_missing_values_inside_series_are_gaps(tmp_path: Path) -> None:
    data = complete_data()
    data["rdf"]["initial"][3] = None
    data["rdf"]["final"] = [None] * len(data["rdf"]["r"])
    data["functions"]["pair"]["Cu-Cu"]["final"][5] = math.nan
    data["anchors"][0]["replicas"][0]["temperature_k"][7] = math.inf
    data["anchors"][0]["replicas"][1] = {"time_ps": [0.0, 1.0], "temperature_k": [1130.0]}
    assert write_report(data, tmp_path)


def test_verification_of_another_model_does_not_count() -> None:
    data = complete_data()
    data["anchors"][2]["model_hash"] = HASHES[3]
    checked = read_data(data)
    assert outcomes(checked)[0].kind == "not verified"
    assert outcomes(checked)[0].result is None
    found = " ".join(collect_warnings(checked))
    assert HASHES[3][:12] in found and "no verified result" in found


def test_disagreement_of_training_and_verification_is_a_warning() -> None:
    data = complete_data()
    data["summary"]["boundaries"][0].update(temperature_k=1345.0, sigma_k=2.0)
    (disagreement, missed) = collect_warnings(read_data(data))
    assert "training (1357.5 ± 3.1 K) and verification (1345.0 ± 2.0 K) disagree by 3.4 σ" in disagreement
    assert "6.2 σ from the target" in missed


def test_convergence_is_measured_from_experiment_even_when_a_stage_stops_short() -> None:
    data = complete_data()
    data["rounds"][0]["targets"][0]["target_k"] = 1250.0  # as near as superheating allowed
    checked = read_data(data)
    drawing = convergence(checked, outcomes(checked))
    assert drawing is not None
    first = np.ravel(drawing.figure.axes[0].lines[0].get_ydata())[0]
    assert np.isclose(first, 1130.2 - 1357.77)
    assert any(text.get_text() == " re-anchored" for text in drawing.figure.axes[0].texts)


def test_training_estimate_belongs_to_the_final_model() -> None:
    data = complete_data()
    training = outcomes(read_data(data))[0].training
    assert training is not None and training.value == 1357.5  # predicted by the step that made the final model
    data["summary"]["model"]["hash"] = HASHES[4]  # sampled in round 5
    training = outcomes(read_data(data))[0].training
    assert training is not None and training.value == 1364.0


@pytest.mark.parametrize(("final", "warns"), [(110.0, True), (128.0, False), (165.0, True)])
def test_right_temperature_for_the_wrong_reason(final: float, warns: bool) -> None:
    data = complete_data()
    data["properties"] = [property_("enthalpy_change[fcc-liquid]", "meV/atom", 137.0, 1.0, final, 1.0)]
    found = collect_warnings(read_data(data))
    assert any("Right T for the wrong reason" in item for item in found) == warns


def test_a_protected_property_that_moved_is_a_warning() -> None:
    data = complete_data()
    data["properties"] = [property_("C11", "GPa", 170.0, None, 172.0, None, protected=True)]
    assert collect_warnings(read_data(data)) == ["Protected, and yet it moved: C₁₁, 0 K by +1.18 %."]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "blue"}, "colour"),
        ({"pk": "seven"}, "pk"),
        ({"properties": [property_("C11", "eV", 1.0, None)]}, "C11 is reported in GPa"),
        ({"functions": {"pair": {"Cu-Cu": {"r": [1.0], "initial": [1.0, 2.0]}}}}, "one length"),
        ({"anchors": [{"label": "lucky guess", "model_hash": "a"}]}, "anchors.0.label"),
    ],
)
def test_wrong_data_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_report({**minimal_data(), **change}, tmp_path)


def test_an_unusable_folder_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the report"):
        write_report(minimal_data(), tmp_path / "file")


def test_input_is_not_changed(tmp_path: Path) -> None:
    data = transition_data()
    before = copy.deepcopy(data)
    write_report(data, tmp_path)
    assert data == before


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

"""What reports are made from in tests: a complete campaign, minimal ones, and what a browser would see of a page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

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
        "solid_window": (0.14, 0.68),
        "temperature_mean_k": mean,
        "temperature_sigma_k": 5.0,
        "block_ps": [0.06 * 2**k for k in range(8)],
        "block_sigma_k": [5.0 * (1 - 0.8 * 0.6**k) for k in range(8)],
        "profile_z": np.linspace(0, 1, 100).tolist(),
        "profile_first": (0.4 + 0.3 * np.tanh(10 * np.cos(np.linspace(0, 2 * np.pi, 100)))).tolist(),
        "profile_last": (0.4 + 0.3 * np.tanh(8 * np.cos(np.linspace(0.5, 2 * np.pi + 0.5, 100)))).tolist(),
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
            {
                "phase": "fcc",
                "pressure_gpa": 0.0,
                "n_eff": n_eff,
                "sd_beta_du": sd,
                "overlap": 0.31,
                "joined": [f"fcc at 1358 K and 0 GPa, model {k}" for k in range(3)],
                "overlap_matrix": [[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.2, 0.3, 0.5]],
            },
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
        "structures": [
            {
                "phase": "liquid",
                "pressure_gpa": 0.0,
                "r": r_rdf.tolist(),
                "initial": rdf.tolist(),
                "final": (1 + (rdf - 1) * 1.08).clip(0).tolist(),
                "initial_pk": 701,
                "final_pk": 702,
            }
        ],
        "parameters": [{"name": "pair[Cu-Cu]", "n": 14, "initial": 0.0, "final": 0.01, "change": 0.01}],
        "cost_parts": [
            {"name": "measuring boundaries", "jobs": 12, "atom_steps": 2.1e8, "job_s": 900.0},
            {"name": "sampling phases", "jobs": 8, "atom_steps": 1.0e8, "job_s": 300.0},
        ],
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

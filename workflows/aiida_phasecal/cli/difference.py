"""The difference of two models as tables."""

from __future__ import annotations

from rich.table import Table

from aiida_phasecal.cli.common import console, interval

MAX_PARAMETERS = 40
"""Up to this many parameters are shown one by one, more by their size only; JSON has them all."""
UNITS = {"pair": ("φ", "eV", "Å"), "density": ("ρ", "", "Å"), "embedding": ("F", "eV", "")}
"""Symbol, unit and unit of the abscissa of the functions of an embedded-atom form."""


def print_difference(data: dict) -> None:
    """Print what changed from model A to model B."""
    for side in ("a", "b"):
        model = data[side]
        text = (
            f"{side.upper()}: model {model['hash'][:12]} (PK {model['pk']}), {model['family']}, round {model['round']}"
        )
        console.print(text, highlight=False, markup=False)
    if len(data["parameters"]) <= MAX_PARAMETERS:
        table = Table("parameter", "A", "B", "change")
        for entry in data["parameters"]:
            change = entry["b"] - entry["a"]
            table.add_row(entry["name"], f"{entry['a']:+.6e}", f"{entry['b']:+.6e}", f"{change:+.3e}")
    else:
        table = Table("parameters", "number", "rms A", "rms B", "rms change")
        for entry in data["groups"]:
            sizes = (f"{entry[key]:.3e}" for key in ("a_rms", "b_rms", "change_rms"))
            table.add_row(entry["group"], str(entry["n_parameters"]), *sizes)
    if table.row_count:
        console.print(table)
    print_curves(data["curves"])
    print_boundaries(data["boundaries"])
    if data["forces"]:
        table = Table("frames", "T, K", "P, GPa", "rms difference of a force component, meV/Å")
        for entry in data["forces"]:
            state = (f"{entry['temperature_k']:.0f}", f"{entry['pressure_gpa']:g}")
            table.add_row(f"{entry['phase']} (PK {entry['sample']})", *state, f"{1e3 * entry['rmse_ev_a']:.2f}")
        console.print(table)
    for reason in data["reasons"]:
        console.print(f"not compared: {reason}", highlight=False, markup=False, soft_wrap=True)


def print_curves(curves: list[dict]) -> None:
    """Print how far the functions of an embedded-atom form changed."""
    if not curves:
        return
    table = Table("function", "largest change", "at", "rms change")
    for entry in curves:
        symbol, unit, abscissa = UNITS[entry["function"]]
        largest = f"{entry['max']:+.3e} {unit}".strip()
        table.add_row(
            f"{symbol} {entry['name']}", largest, f"{entry['at']:.3f} {abscissa}".strip(), f"{entry['rms']:.2e}"
        )
    console.print(table)


def print_boundaries(boundaries: list[dict]) -> None:
    """Print where both models have their boundaries."""
    if not boundaries:
        return
    table = Table("boundary", "P, GPa", "T of A, K", "T of B, K", "T_B - T_A, K", "predicted from frames, K")
    for entry in boundaries:
        sides = (
            f"{interval(side['temperature_k'], side['sigma_k'])} ({side['source']})" if side else "–"
            for side in (entry["a"], entry["b"])
        )
        table.add_row(
            "–".join(entry["phases"]),
            f"{entry['pressure_gpa']:g}",
            *sides,
            interval(entry["difference_k"], entry["difference_sigma_k"]),
            interval(entry["predicted_k"], entry["predicted_sigma_k"]),
        )
    console.print(table)

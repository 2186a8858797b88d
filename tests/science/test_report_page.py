"""The page of a report: complete, minimal and hostile data; what must be shown, and what must not."""

from __future__ import annotations

import copy
import csv
import math
import re
from pathlib import Path
from typing import Any

import pytest

from phasecal.errors import DataError, InputError
from phasecal.report import write_report
from phasecal.report.runs import MAX_POINTS


@pytest.fixture(scope="module")
def complete(records, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(records.complete_data(), folder)


def test_complete_report_shows_before_training_verified_and_experiment(
    records,
    complete: tuple[Path, list[Path]],
) -> None:
    folder, files = complete
    text = records.shown(folder)
    for expected in (
        "1130.2 ± 5.2 K",
        "1362.4 ± 2.9 K",
        "1357.77 ± 0.50 K",
        "training estimate 1357.5 ± 3.1 K",
    ):
        assert expected in text
    assert "verified by coexistence, seeds 9301, 9302" in text
    assert records.HASHES[0] in text and records.HASHES[5] in text
    assert "Warning" not in text
    assert files[0] == folder / "report.html" and all(file.stat().st_size > 0 for file in files)
    names = {file.name for file in files}
    assert {"temperatures.png", "convergence.svg", "function-pair-Cu-Cu.png", "rdf.svg"} <= names
    assert {"interface-3-verification.png", "boundaries.csv", "properties.csv", "lineage.csv"} <= names
    assert "function-embedding-Cu.svg" in names and "function-density-Cu.svg" not in names  # ρ(r) did not change


def test_page_loads_nothing_and_is_small(records, complete: tuple[Path, list[Path]]) -> None:
    folder, _ = complete
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page) < 1_000_000
    assert not re.search(r"(?:src|href|action|data|poster)\s*=\s*[\"'](?!#)", page)
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    parser = records.outline(folder)
    assert not {name for name, _ in parser.elements} & {
        "iframe",
        "link",
        "object",
        "embed",
        "img",
        "base",
    }
    policies = [a.get("content") for _, a in parser.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies and "default-src 'none'; script-src 'sha256-" in str(policies[0])
    assert [attrs for name, attrs in parser.elements if name == "script"] == [{}]  # our own, inline, named by its hash


def test_every_figure_has_alternative_text_and_ids_are_unique(records, complete: tuple[Path, list[Path]]) -> None:
    folder, _ = complete
    parser = records.outline(folder)
    images = [attrs for _, attrs in parser.elements if attrs.get("role") == "img"]
    assert len(images) == sum(name == "svg" for name, _ in parser.elements) == 9
    assert all(len(str(image["aria-label"])) > 20 for image in images)
    ids = [attrs["id"] for _, attrs in parser.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = {str(attrs["xlink:href"])[1:] for name, attrs in parser.elements if name == "use"}
    assert used <= set(ids)


def test_the_same_data_give_the_same_bytes(records, complete: tuple[Path, list[Path]], tmp_path: Path) -> None:
    folder, _ = complete
    write_report(records.complete_data(), tmp_path)
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
def test_minimal_data_give_a_page(records, tmp_path: Path, state: str) -> None:
    data = records.minimal_data()
    data["summary"]["state"] = state
    files = write_report(data, tmp_path)
    assert [file.name for file in files] == ["report.html"]
    assert state in records.shown(tmp_path) and "verdi process status 5" in records.shown(tmp_path)


def test_unfinished_campaign_shows_what_exists_and_no_result(records, tmp_path: Path) -> None:
    data = records.complete_data()
    data["summary"].update(state="failed", exit_code=520, model=None)
    data["summary"]["boundaries"][0].update(temperature_k=None, sigma_k=None, method=None, seeds=[], pk=None)
    data["rounds"] = [*data["rounds"][:2], {"schema": 1, "error": {"kind": "overlap", "message": "too far"}}]
    data["anchors"] = data["anchors"][:1]
    data["warnings"] = ["the liquid sample overlaps too little"]
    write_report(data, tmp_path)
    text = records.shown(tmp_path)
    assert "1130.2 ± 5.2 K PK 100 copy → no verified result" in text and "failed, exit code 520" in text
    assert "Warning: the liquid sample overlaps too little" in text
    assert "there is no verified result" in text


def test_transition_shows_a_measured_temperature_beside_sgte(records, tmp_path: Path) -> None:
    write_report(records.transition_data(), tmp_path)
    text = records.shown(tmp_path)
    assert "1326.3 ± 4.1 K" in text and "measured by coexistence" in text and "1357.77" in text
    assert "Warning" not in text and "training" not in text and "What else changed" not in text


def test_a_verification_says_whether_its_method_is_another_than_the_anchors(records, tmp_path: Path) -> None:
    data = records.complete_data()
    data["summary"]["boundaries"][0].update(method="pinning", anchor_method="coexistence")
    write_report(data, tmp_path)
    assert "verified by pinning (anchor by coexistence)" in records.shown(tmp_path)


def test_a_line_over_pressure_stands_beside_each_measured_temperature(records, tmp_path: Path) -> None:
    data = records.transition_data()
    write_report(data, tmp_path / "single")
    assert "on the line" not in records.shown(tmp_path / "single")
    data["summary"]["boundaries"][0].update(line_k=1328.7, line_sigma_k=2.6)
    write_report(data, tmp_path / "line")
    text = records.shown(tmp_path / "line")
    assert "on the line / K" in text and "1328.7 ± 2.6" in text and "1326.3 ± 4.1" in text


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> 铜\n $\\frac{ $ & </style>"


def test_hostile_strings_are_text(records, tmp_path: Path) -> None:
    data = records.complete_data()
    data.update(title=HOSTILE, uuid=HOSTILE, created=HOSTILE, campaign_file=HOSTILE, warnings=[HOSTILE])
    data["versions"] = {HOSTILE: HOSTILE}
    data["summary"]["state"] = HOSTILE
    data["summary"]["boundaries"].append({**data["summary"]["boundaries"][0], "phases": [HOSTILE, "=1+1"]})
    data["summary"]["boundaries"][0]["method"] = HOSTILE
    data["summary"]["model"]["hash"] = data["anchors"][2]["model_hash"] = data["rounds"][4]["model_hash"] = HOSTILE
    data["rounds"][0]["phases"][0]["phase"] = HOSTILE
    data["functions"]["pair"] = {HOSTILE: data["functions"]["pair"]["Cu-Cu"]}
    data["properties"].append({**records.property_(HOSTILE, HOSTILE, 1.0, 0.1, 2.0, 0.1), "symbol": HOSTILE})
    data["lineage"][0]["hash"] = HOSTILE
    data["cost"][HOSTILE] = 3.0
    files = write_report(data, tmp_path)
    parser = records.outline(tmp_path)
    assert "img" not in {name for name, _ in parser.elements}
    assert [attrs for name, attrs in parser.elements if name == "script"] == [{}]  # the page's own
    assert not [key for _, attrs in parser.elements for key in attrs if key.startswith("on")]
    assert sum(name == "style" for name, _ in parser.elements) == 1 + 9  # the page's own, and one per figure
    assert HOSTILE in "".join(parser.text)
    assert all(tmp_path in file.resolve().parents and re.fullmatch(r"[\w.-]+", file.name) for file in files)
    assert "'=1+1" in (tmp_path / "tables" / "boundaries.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("sigma", [None, 0.0, -1.0, math.nan, math.inf])
def test_a_number_without_an_interval_is_not_shown(records, tmp_path: Path, sigma: float | None) -> None:
    data = records.complete_data()
    data["structures"], data["functions"], data["anchors"] = [], {}, []
    data["summary"]["boundaries"][0].update(initial_k=1234.5, initial_sigma_k=sigma)
    data["properties"] = [
        records.property_("enthalpy_change[fcc-liquid]", "meV/atom", 104.25, 1.0, 123.75, sigma),
        records.property_("my own number", "kg", 77.125, sigma),
        records.property_("C11", "GPa", 170.1, None, 170.2, None),
    ]
    for entry in data["rounds"]:
        entry["targets"][0].update(temperature_k=1299.25, sigma_k=sigma)
    files = write_report(data, tmp_path)
    written = [file for file in files if file.suffix in {".html", ".csv"}]
    for number in ("1234.5", "123.75", "123.8", "77.125", "77.1", "1299.25", "1299.3"):
        assert not [file for file in written if number in file.read_text(encoding="utf-8")], number
    text = records.shown(tmp_path)
    assert "104.2 ± 1.0" in text  # has an interval
    assert "170.10" in text and "170.20" in text  # computed without sampling
    assert "Not shown, because it came without an interval: ΔH (fcc → liquid), my own number" in text


def test_missing_values_inside_series_are_gaps(records, tmp_path: Path) -> None:
    data = records.complete_data()
    (curve,) = data["structures"]
    curve["initial"][3], curve["final"] = None, [None] * len(curve["r"])
    data["functions"]["pair"]["Cu-Cu"]["final"][5] = math.nan
    data["anchors"][0]["replicas"][0]["temperature_k"][7] = math.inf
    data["anchors"][0]["replicas"][1] = {"time_ps": [0.0, 1.0], "temperature_k": [1130.0]}
    assert write_report(data, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "blue"}, "colour"),
        ({"pk": "seven"}, "pk"),
        ({"properties": [{"name": "C11", "unit": "eV"}]}, "C11 is reported in GPa"),
        ({"functions": {"pair": {"Cu-Cu": {"r": [1.0], "initial": [1.0, 2.0]}}}}, "one length"),
        ({"anchors": [{"label": "lucky guess", "model_hash": "a"}]}, "anchors.0.label"),
    ],
)
def test_wrong_data_are_named(records, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_report({**records.minimal_data(), **change}, tmp_path)


def test_an_unusable_folder_is_the_users_mistake(records, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the report"):
        write_report(records.minimal_data(), tmp_path / "file")


def test_input_is_not_changed(records, tmp_path: Path) -> None:
    data = records.transition_data()
    before = copy.deepcopy(data)
    write_report(data, tmp_path)
    assert data == before

"""The reference pages say what the code does: every key of a campaign, and an example that programs can read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from phasecal.campaign import frozen, protocols, schema
from phasecal.campaign.load import load_campaign
from phasecal.report.data import Boundary, Summary
from phasecal.structures.crystals import PROTOTYPES
from phasecal.units import UNITS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SECTIONS = [
    value
    for module in (schema, frozen, protocols)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, BaseModel) and not name.startswith("_")
]


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def block(text: str, language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_of_a_campaign_is_explained(section: type[BaseModel]) -> None:
    text = page("campaign.md")
    keys = [field.alias or name for name, field in section.model_fields.items()]
    missing = [key for key in keys if f"`{key}`" not in text and not (section is protocols.Protocol and key == "name")]
    assert not missing


def test_every_unit_and_prototype_is_named() -> None:
    text = page("campaign.md")
    units = {unit for kind in ("temperature", "pressure", "length") for unit in UNITS[kind]}
    assert not [word for word in units | set(PROTOTYPES) if f"`{word}`" not in text]


def test_the_example_of_a_campaign_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(block(page("campaign.md"), "yaml"), encoding="utf-8")
    assert load_campaign(file).title == "copper"


def test_the_example_of_show_json_is_the_contract() -> None:
    text = page("show-json.md")
    example = json.loads(block(text, "json"))
    summary = Summary.model_validate(example)
    assert {"schema", "task", "state", "exit_code", "boundaries", "model", "cost"} <= set(example)
    assert set(Boundary.model_fields) <= set(example["boundaries"][0])
    assert summary.boundaries[0].sigma_k == 2.9
    keys = {*example, *example["boundaries"][0], *example["model"], *example["cost"]}
    assert not [key for key in keys - {"atom_steps", "wall_s", "rounds"} if f"`{key}`" not in text]

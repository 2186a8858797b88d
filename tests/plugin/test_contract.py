"""Every process of the plugin keeps its contract: help on every port, exit codes in bands, entry points that load."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from aiida.engine import CalcJob
from aiida.plugins import CalculationFactory, WorkflowFactory

PROCESSES = [
    factory(point.name)
    for group, factory in (("aiida.calculations", CalculationFactory), ("aiida.workflows", WorkflowFactory))
    for point in entry_points(group=group)
    if point.name.startswith("phasecal.")
]
OURS = ("phasecal", "aiida_phasecal")


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.__name__)
def test_every_port_says_what_it_is(process):
    spec = process.spec()
    inherited = {name for base in process.__bases__ if hasattr(base, "spec") for name in base.spec().inputs}
    silent = [name for name, port in spec.inputs.items() if name not in inherited and not port.help]
    silent += [
        name for name, port in spec.outputs.items() if not port.help and name not in ("remote_folder", "retrieved")
    ]
    assert not [name for name in silent if name not in ("models", "samples")], silent


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.__name__)
def test_exit_codes_are_in_their_bands(process):
    own = {code.status for code in process.spec().exit_codes.values()}
    assert all(status < 200 or 200 <= status < 600 or status == 1001 for status in own)
    assert len(own) == len(process.spec().exit_codes)


@pytest.mark.parametrize("process", [p for p in PROCESSES if issubclass(p, CalcJob)], ids=lambda p: p.__name__)
def test_unusable_output_is_never_taken_from_the_cache(process):
    for code in process.spec().exit_codes.values():
        assert code.invalidates_cache or not 300 <= code.status < 400 or code.status in (309,), code

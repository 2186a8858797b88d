"""Questions have the same answers where the record is in PostgreSQL."""

from __future__ import annotations

import gc
import json
from datetime import UTC, datetime, timedelta

import pytest
import services
from aiida.manage import get_manager
from aiida_phasecal.cli import cmd_phasecal
from aiida_phasecal.difference import known_temperatures
from aiida_phasecal.lineage import lineage
from aiida_phasecal.query import Selection, boundary_points, load_model_node, models
from click.testing import CliRunner

# aiida-core leaves the connection of its first migration to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:<psycopg.Connection object:ResourceWarning")


@pytest.fixture(scope="module")
def database():
    """A server of our own."""
    with services.postgresql() as made:
        yield made


@pytest.fixture(scope="module")
def storage(database, aiida_config, aiida_profile, aiida_profile_factory, tmp_path_factory):
    """A profile with its record in PostgreSQL, instead of the session's."""
    config = {
        "database_engine": "postgresql_psycopg",
        "database_hostname": "127.0.0.1",
        "database_port": database.port,
        "database_username": database.user,
        "database_password": "",
        "database_name": database.name,
        "repository_uri": tmp_path_factory.mktemp("repository").as_uri(),
    }
    with aiida_profile_factory(aiida_config, storage_backend="core.psql_dos", storage_config=config) as profile:
        gc.collect()  # here, where what aiida-core left open is expected
        yield profile
        get_manager().reset_profile()  # closes the connections before the server stops
    aiida_config.set_default_profile(aiida_profile.name, overwrite=True)
    aiida_config.store()


def test_the_record_is_in_postgresql(calibration):
    assert calibration.node.backend.__class__.__name__ == "PsqlDosBackend"


@pytest.mark.parametrize(
    ("filters", "temperatures"),
    [
        ({}, [1326.0, 1351.0, 1359.0]),
        ({"elements": ("Cu",), "boundary": "fcc-liquid", "difference": (None, 5.0)}, [1359.0]),
        ({"role": "re-anchor", "state": "finished"}, [1351.0]),
        ({"pressure": (1.0, None)}, []),
        ({"until": datetime.now(UTC) - timedelta(days=1)}, []),
        ({"since": datetime.now(UTC) - timedelta(days=1), "campaign": "copper"}, [1326.0, 1351.0, 1359.0]),
    ],
)
def test_points_are_found(calibration, filters, temperatures):
    assert [point["temperature_k"] for point in boundary_points(Selection(**filters))] == temperatures


def test_models_are_found_by_hash(calibration):
    assert [entry["round"] for entry in models()] == [0, 1, 2]
    last = calibration.models[-1]
    assert load_model_node(last.model_hash[:12]).pk == last.pk
    (known,) = known_temperatures(last).values()
    assert known["temperature_k"] == 1359.0
    (known,) = known_temperatures(calibration.models[1]).values()
    assert known["temperature_k"] == 1351.0


def test_a_point_is_traced(calibration):
    traced = lineage(calibration.verified.outputs.transition.pk)
    assert len(traced["runs"]) == 3
    assert [entry["pk"] for entry in traced["models"]] == [node.pk for node in calibration.models]
    assert [len(entry["samples"]) for entry in traced["rounds"]] == [2, 4]


def test_the_command_answers(calibration):
    result = CliRunner().invoke(cmd_phasecal, ["query", "--method", "pinning", "--json"])
    (entry,) = json.loads(result.output)
    assert [point["temperature_k"] for point in entry["points"]] == [1359.0]

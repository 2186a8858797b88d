"""A profile that phasecal cannot use is told in one sentence, and none of its passwords is."""

from __future__ import annotations

import json
import stat
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest
from aiida.common.exceptions import ConfigurationError
from aiida.engine.daemon.client import DaemonException
from aiida.manage import manager
from aiida.manage.configuration import CURRENT_CONFIG_VERSION, OLDEST_COMPATIBLE_CONFIG_VERSION, get_config
from aiida.manage.configuration.settings import AiiDAConfigDir
from aiida_phasecal.cli import cmd_phasecal
from aiida_phasecal.cli import init as init_module
from aiida_phasecal.cli.profiles import load_profile
from aiida_phasecal.supervisor import Daemon
from click.testing import CliRunner

from phasecal.errors import InputError

SECRETS = ("s3cr3t-database", "s3cr3t/broker")
STORAGE = {
    "database_engine": "postgresql_psycopg",
    "database_hostname": "127.0.0.1",
    "database_port": 1,  # nobody answers there
    "database_name": "phasecal",
    "database_username": "aiida",
    "database_password": SECRETS[0],
    "repository_uri": "file:///nowhere",
}
BROKER = {"broker_username": "guest", "broker_password": SECRETS[1], "broker_host": "127.0.0.1", "broker_port": 1}


@pytest.fixture
def profile() -> dict:
    """A profile as AiiDA keeps it, with two passwords."""
    return {
        "PROFILE_UUID": uuid.uuid4().hex,
        "storage": {"backend": "core.psql_dos", "config": dict(STORAGE)},
        "process_control": {"backend": "core.rabbitmq", "config": dict(BROKER)},
        "default_user_email": "me@example.org",
        "options": {},
    }


@pytest.fixture
def configured(aiida_profile, monkeypatch, tmp_path, profile):
    """Return a function that writes AiiDA's configuration for this test, with that profile; other keys may be given."""

    def configure(**keys: object) -> None:
        version = {"CURRENT": CURRENT_CONFIG_VERSION, "OLDEST_COMPATIBLE": OLDEST_COMPATIBLE_CONFIG_VERSION}
        written = {"CONFIG_VERSION": version, "profiles": {"group": profile}} | keys
        (tmp_path / "config.json").write_text(json.dumps(written))
        monkeypatch.setattr(AiiDAConfigDir, "_glb_aiida_config_folder", AiiDAConfigDir.get())  # put back at the end
        AiiDAConfigDir.set(tmp_path)
        monkeypatch.setattr("aiida.manage.configuration.CONFIG", None)
        monkeypatch.setattr(manager, "MANAGER", manager.Manager())
        # it closes all handlers of the process, also pytest's
        monkeypatch.setattr("aiida.common.log.configure_logging", lambda **_: None)

    return configure


def told(*words: str) -> str:
    """The line that a command ends with; it holds no secret."""
    done = CliRunner().invoke(cmd_phasecal, words)
    assert done.exit_code == 2, done.output
    assert not done.output.rstrip("\n").count("\n")
    assert "s3cr3t" not in done.output
    return done.output


def test_without_a_default_profile_those_that_exist_are_named(configured, tmp_path):
    configured()
    with pytest.raises(ConfigurationError, match=SECRETS[0]):  # what AiiDA says
        get_config().get_profile()
    line = told("show", "7")
    assert line.startswith(f"{tmp_path}/config.json has no default profile; use `-p NAME`"), line
    assert "`verdi profile set-default NAME` with one of its profiles (group)" in line


def test_an_unknown_profile_is_told_with_those_that_exist(configured):
    configured()
    line = told("show", "7", "-p", "goup")
    assert "no profile goup in" in line and "(group)" in line and "`phasecal init -p goup`" in line


def test_no_profile_and_no_configuration_lead_to_init(configured, tmp_path):
    configured(profiles={})
    assert "make one with `phasecal init`" in told("show", "7")
    configured()
    (tmp_path / "config.json").unlink()
    assert told("show", "7") == "there is no AiiDA profile yet; make one with `phasecal init`\n"


@pytest.mark.parametrize("words", [("show", "7"), ("init",)])
def test_a_damaged_configuration_is_not_quoted(configured, profile, tmp_path, words):
    profile["process_control"] = f"amqp://guest:{SECRETS[1]}@127.0.0.1"
    configured()
    with pytest.raises(ConfigurationError, match=SECRETS[1]):  # what AiiDA says
        get_config()
    assert "config.json is damaged, or of another version of AiiDA" in told(*words)
    configured()
    (tmp_path / "config.json").write_text('{"profiles": ')
    assert "config.json is damaged" in told(*words)


@pytest.mark.parametrize("words", [("show", "7", "-p", "group"), ("query", "-p", "group"), ("init", "-p", "group")])
def test_a_database_that_does_not_answer_is_told(configured, words):
    configured()
    line = told(*words)
    assert (
        line == "the record of profile group cannot be opened (UnreachableStorage); `verdi -p group status` says why\n"
    )


def test_what_aiida_said_does_not_come_with_the_error(configured):
    configured()
    with pytest.raises(InputError) as raised:
        load_profile("group")
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


def test_passwords_are_left_out_of_what_verdi_says(configured, monkeypatch, tmp_path):
    configured()
    verdi = tmp_path / "verdi"
    verdi.write_text(f"#!/bin/sh\necho no amqp://guest:{quote(SECRETS[1], safe='')}@host, no {SECRETS[0]}\nexit 1\n")
    verdi.chmod(verdi.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(init_module, "executable", lambda name: str(verdi))
    with pytest.raises(InputError) as raised:
        init_module.run_verdi("presto")
    assert str(raised.value) == "`verdi presto` failed: no amqp://guest:***@host, no ***"


def test_a_daemon_needs_a_broker(aiida_profile):
    with pytest.raises(InputError, match=r"has no broker, .*`verdi profile configure-broker core\.zeromq "):
        init_module.start_daemon(aiida_profile.name)


def test_passwords_are_left_out_of_what_a_daemon_that_does_not_start_says(configured, monkeypatch):
    def fail(*_):
        raise DaemonException(f"The daemon failed to start with error:\nno connection with {SECRETS[0]}\n")

    configured()
    manager.get_manager().load_profile("group")
    monkeypatch.setattr(Daemon, "start_daemon", fail)
    with pytest.raises(InputError) as raised:
        init_module.start_daemon("group")
    assert str(raised.value).startswith("the daemon of profile group did not start (no connection with ***); ")


def test_the_daemon_starts_through_our_program_also_where_no_verdi_is_on_the_path(aiida_profile, monkeypatch):
    monkeypatch.setattr("aiida.engine.daemon.client.VERDI_BIN", None)
    words = " ".join(Daemon(aiida_profile).cmd_start_daemon(1)[1:])
    assert words == f"-P -m aiida_phasecal.supervisor -p {aiida_profile.name} daemon start-circus 1"


def test_a_daemon_starts_without_the_files_of_a_broker_that_was_killed(configured, monkeypatch):
    """A worker would connect to where that one listened, and wait there for ever."""
    configured()
    loaded = manager.get_manager().load_profile("group")
    folder = Path(get_config().filepaths(loaded)["broker_service"]["dir"])
    queue = folder / "storage" / "tasks" / "pending" / "1.json"
    queue.parent.mkdir(parents=True)
    for name in ("storage/tasks/pending/1.json", "broker.sockets", "broker.pid", "broker.status"):
        (folder / name).write_text("/tmp/aiida_zeromq_gone")
    left = []
    monkeypatch.setattr(Daemon, "start_daemon", lambda *_: left.extend(sorted(folder.iterdir())))
    assert init_module.start_daemon("group")
    assert left == [folder / "storage"]
    assert queue.exists()

"""The tests' own servers: what is missing is named, what fails says why, and what is left behind is seen and ended."""

from __future__ import annotations

import shutil
import subprocess
import sys

import processes
import psutil
import pytest
import services


@pytest.mark.parametrize(
    ("start", "package"),
    [
        (lambda: services.slurm(services.TEMPLATES), "openssh-server"),
        (services.postgresql, "postgresql"),
        (services.rabbitmq, "rabbitmq-server"),
    ],
)
def test_a_missing_program_skips_and_names_its_package(monkeypatch, start, package):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match=f"not found: install {package}$"), start():
        pass


def test_a_server_that_ends_at_once_shows_its_last_words(tmp_path):
    server = processes.Server("/bin/sh", "-c", "echo no port; exit 3", log=tmp_path / "log", ready=lambda: False)
    with pytest.raises(AssertionError, match=r"ended with 3\nno port"), processes.running(server):
        pass


def test_what_is_left_behind_is_ended_and_told(monkeypatch):
    monkeypatch.setattr(processes, "END_S", 0.2)
    child = "import subprocess, sys; subprocess.Popen(['sleep', '600'], env={'OF': sys.argv[1]})"
    found = []

    def leave_behind() -> None:
        with processes.own_folder("test") as folder:
            subprocess.run([sys.executable, "-c", child, str(folder)], check=True)
            found.extend(processes.processes_of(folder))

    with pytest.raises(AssertionError, match=r"left behind: \[\['sleep', '600'\]\]"):
        leave_behind()
    (orphan,) = found
    assert not psutil.pid_exists(orphan.pid) or orphan.status() == psutil.STATUS_ZOMBIE


def test_only_loopback_is_not_open():
    seen = {("tcp", "127.0.0.1", 1), ("tcp", "::1", 1), ("tcp", "192.0.2.2", 1), ("udp", "0.0.0.0", 1)}
    assert {address for _, address, _ in processes.Sockets(seen).open} == {"192.0.2.2", "0.0.0.0"}

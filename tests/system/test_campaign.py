"""A real melting point through the real daemon and real LAMMPS, with a worker killed on the way."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
SMALL = Path(__file__).parent / "small.yaml"
pytestmark = [pytest.mark.daemon, pytest.mark.slow]

SEEDS = """
from aiida import load_profile, orm
import json, sys
load_profile()
node = orm.load_node(int(sys.argv[1]))
jobs = [n for n in node.called_descendants if isinstance(n, orm.CalcJobNode) and "task" in n.inputs]
print(json.dumps([[n.exit_status, n.inputs.task["seed"], n.inputs.model.model_hash] for n in jobs]))
"""


def wait_until(condition, seconds: float, message: str, every: float = 1) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s: {message}"
        time.sleep(every)


def has_ended(installation, pk: int) -> bool:
    status = installation.json("status", pk)
    assert not status["stuck"]
    return status["state"] != "running"


@pytest.fixture(scope="module")
def campaign(installation) -> int:
    """Launch, interrupt the display, kill the workers, then the daemon, and wait for the end."""
    display = installation.start("phasecal", "launch", SMALL, "--task", "transition", "--wait")
    assert display.stdout.readline().startswith("PK ")
    pk = installation.json("query")[0]["pk"]
    wait_until(lambda: installation.json("status", pk)["running"], 300, "no job started")
    display.send_signal(signal.SIGINT)
    out, _ = display.communicate(timeout=60)
    assert display.returncode == 0
    assert f"phasecal status {pk} --watch" in out

    installation.kill_workers()
    wait_until(installation.workers, 60, "the daemon started no other worker")
    installation.kill_daemon()
    installation.run("phasecal", "init")
    assert len(installation.workers()) == 1, "what the killed daemon left still runs"
    wait_until(lambda: has_ended(installation, pk), 1500, "the campaign did not end", every=10)
    return pk


def test_it_finishes_with_nothing_lost_or_done_twice(installation, campaign):
    summary = installation.json("show", campaign)
    assert summary["state"] == "finished", summary["message"]
    out = subprocess.run(
        [sys.executable, "-c", SEEDS, str(campaign)],
        env=installation.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    runs = [tuple(run) for run in json.loads(out)]
    assert all(status == 0 for status, *_ in runs)
    assert len(set(runs)) == len(runs)


def test_its_scratch_is_gone(installation, campaign):
    scratch = installation.folder / ".aiida" / "scratch"
    assert scratch.is_dir()
    assert not list(scratch.glob("*/??/??/*"))


def test_what_is_done_is_not_done_again_after_a_kill(installation, campaign):
    killed = installation.json("launch", SMALL, "--task", "transition")["pk"]
    assert "still active" in installation.run("phasecal", "resume", killed, expect=2)
    installation.run("verdi", "process", "kill", killed)
    resumed = installation.json("resume", killed, "--wait")["pk"]
    first, again = (installation.json("show", pk) for pk in (campaign, resumed))
    assert again["boundaries"][0]["temperature_k"] == first["boundaries"][0]["temperature_k"]
    assert again["cost"]["wall_s"] < 0.2 * first["cost"]["wall_s"]
    listed = installation.run("verdi", "process", "status", resumed)
    assert "LammpsMdCalculation" in listed
    assert "finished" in installation.run("phasecal", "resume", campaign, expect=2)
    sigma = f"{2 * first['boundaries'][0]['sigma_k']} K"
    assert "0.5 times the wanted one already" in installation.run(
        "phasecal", "extend", campaign, "--sigma", sigma, expect=2
    )
    assert "no temperature interval" in installation.run("phasecal", "extend", campaign, "--sigma", "1", expect=2)


def test_an_extension_adds_to_the_runs_that_exist(installation, campaign):
    first = installation.json("show", campaign)["boundaries"][0]
    sigma = f"{0.9 * first['sigma_k']} K"  # three replicas instead of two
    extended = installation.json("show", installation.json("extend", campaign, "--sigma", sigma, "--wait")["pk"])
    (entry,) = extended["boundaries"]
    assert len(entry["seeds"]) == 3
    assert set(first["seeds"]) < set(entry["seeds"])
    assert abs(entry["temperature_k"] - first["temperature_k"]) < 2 * first["sigma_k"]


def test_show_keeps_its_contract(installation, campaign):
    summary = installation.json("show", campaign)
    assert summary["schema"] == 1
    assert (summary["task"], summary["exit_code"]) == ("transition", 0)
    (entry,) = summary["boundaries"]
    for key in ("temperature_k", "sigma_k", "target_k", "target_sigma_k", "initial_k", "initial_sigma_k"):
        assert entry[key] > 0
    assert (entry["phases"], entry["method"]) == (["fcc", "liquid"], "coexistence")
    assert len(set(entry["seeds"])) == 2
    assert entry["pk"]
    # Mishin's copper melts at 1326 K; this is a small and short run
    assert abs(entry["temperature_k"] - 1326) < 4 * entry["sigma_k"]
    assert entry["sigma_k"] < 20
    assert summary["cost"]["atom_steps"] > 1e6


def test_the_exported_file_runs_in_plain_lammps(installation, campaign):
    model = installation.json("show", campaign)["model"]["pk"]
    exported = installation.json("models", "export", model, "-o", "exported")
    folder = installation.folder / "exported"
    (folder / "in.test").write_text(
        "units metal\natom_style atomic\nlattice fcc 3.615\nregion box block 0 3 0 3 0 3\n"
        "create_box 1 box\ncreate_atoms 1 box\ninclude potential.in\nthermo_style custom step pe\n"
        "run 0\nvariable e equal pe/atoms\nprint 'energy ${e}'\n"
    )
    out = subprocess.run(
        [str(BIN / "lmp"), "-in", "in.test"],
        cwd=folder,
        env=installation.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    energy = float(out.rsplit("energy ", 1)[1].split()[0])
    assert energy == pytest.approx(-3.54, abs=0.01)
    assert any("pair_coeff" in command for command in exported["commands"])


def test_report_models_query_and_verdi(installation, campaign):
    installation.run("phasecal", "report", campaign, "-o", "report")
    assert (installation.folder / "report" / "report.html").stat().st_size > 10_000
    hashes = [entry["hash"] for entry in installation.json("models", "list")]
    assert installation.json("show", campaign)["model"]["hash"] in hashes
    assert {"pk", "title", "task", "state"} <= set(installation.json("query", "--state", "finished")[0])
    shown = installation.run("verdi", "data", "phasecal", "show", campaign, "--json")
    assert json.loads(shown)["pk"] == campaign
    tree = installation.run("verdi", "process", "status", campaign)
    assert "CoexistenceWorkChain" in tree and "LammpsMdCalculation" in tree


def test_an_archive_is_as_large_as_was_said_and_overwrites_nothing(installation, campaign):
    expected = installation.json("archive", campaign, "-o", "small.aiida", "--dry-run")
    file = installation.folder / "small.aiida"
    assert not file.exists()
    archived = installation.json("archive", campaign, "-o", "small.aiida")
    size = file.stat().st_size
    assert archived["written_bytes"] == size
    assert abs(expected["estimate_bytes"] - size) < 4 * expected["sigma_bytes"] + 0.02 * size
    assert "exists already" in installation.run("phasecal", "archive", campaign, "-o", "small.aiida", expect=2)


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_the_graph_leads_from_the_temperature_to_models_and_samples(installation, campaign):
    point = installation.json("show", campaign)["boundaries"][0]["pk"]
    installation.run("verdi", "node", "graph", "generate", "-f", "svg", "-O", "graph.svg", point)
    (drawn,) = installation.folder.glob("graph.svg*")
    text = drawn.read_text()
    assert "ModelData" in text and "SampleData" in text


def test_wrong_commands_are_one_line_and_exit_2(installation):
    assert "phasecal query" in installation.run("phasecal", "show", 999999, expect=2)
    assert "models list" in installation.run("phasecal", "models", "show", 999999, expect=2)
    before = installation.json("query")
    wrong = installation.folder / "wrong.yaml"
    wrong.write_text(SMALL.read_text().replace("guess: 1330 K", "guess: -5 K"))
    out = installation.run("phasecal", "launch", wrong, expect=2)
    assert "wrong.yaml:" in out and "guess" in out and len(out.strip().splitlines()) == 1
    assert installation.json("query") == before

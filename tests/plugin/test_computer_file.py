"""The file of `phasecal init --computer`: what it gives to jobs, and how it is refused."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida_phasecal.computer_file import load_computer_file
from aiida_phasecal.submit import JOBS_PROPERTY, check_ranks, job_options
from aiida_phasecal.workchains.common import JOB_KINDS, options_for, validate_options

from phasecal.campaign.document import CampaignErrors
from phasecal.errors import InputError
from phasecal.potentials.nequix import NequixModel

GOOD = """\
schema: 1
name: cluster
hostname: login.example.org
work_folder: /scratch/{username}/phasecal
environment: source ~/phasecal/bin/activate
queue: long
account: p42
jobs:
  md: {ranks: 4, walltime: 12 h, memory: 4 GB}
  step: {cores: 8, gpus: 1, queue: gpu, walltime: 30 min}
"""


@pytest.fixture
def read(tmp_path):
    def load(text: str):
        path = tmp_path / "cluster.yaml"
        path.write_text(text)
        return load_computer_file(path)

    return load


def test_every_kind_of_job_has_its_options(read):
    options = read(GOOD).job_options()
    assert set(options) == set(JOB_KINDS)
    assert options["md"] == {
        "resources": {"num_machines": 1, "num_mpiprocs_per_machine": 4},
        "max_wallclock_seconds": 12 * 3600,
        "max_memory_kb": 4 * 1024**2,
        "withmpi": True,
        "queue_name": "long",
        "account": "p42",
    }
    step = options["step"]
    assert step["resources"] == {"num_machines": 1, "num_mpiprocs_per_machine": 1, "num_cores_per_mpiproc": 8}
    assert (step["queue_name"], step["withmpi"]) == ("gpu", False)
    assert step["custom_scheduler_commands"] == "#SBATCH --gres=gpu:1"
    assert options["jax-md"]["max_wallclock_seconds"] == 24 * 3600


def test_packed_jobs_say_so_in_their_scripts(read):
    file = read(GOOD.replace("ranks: 4", "pack: 4"))
    assert file.is_packed and not read(GOOD).is_packed
    assert file.job_options()["md"]["custom_scheduler_commands"] == "#PACK 4"
    job, allocation = file.job_options()["md"], file.kinds()["md"].allocation("long", None)
    assert (job["resources"]["num_mpiprocs_per_machine"], job["max_memory_kb"]) == (1, 4 * 1024**2)
    assert (allocation["resources"]["num_mpiprocs_per_machine"], allocation["max_memory_kb"]) == (4, 16 * 1024**2)


def test_frames_are_kept_there_if_asked(read):
    options = read(GOOD + "stash: /project/phasecal\n").job_options()
    kept = {kind: job["stash"] for kind, job in options.items() if "stash" in job}
    assert {kind: stash["source_list"] for kind, stash in kept.items()} == {
        "md": ["production.dump"],
        "jax-md": ["production.*.npz"],
    }
    assert {stash["target_base"] for stash in kept.values()} == {"/project/phasecal"}
    assert validate_options(orm.Dict({"jobs": options}), None) is None


def test_they_reach_the_jobs_through_the_computer(read, aiida_profile):
    computer = orm.Computer("cluster", "nowhere", "", "core.ssh_async", "core.slurm").store()
    computer.set_property(JOBS_PROPERTY, read(GOOD).job_options())
    options = job_options(orm.load_computer("cluster"), slots=2)
    assert validate_options(orm.Dict(options), None) is None
    assert options_for(options, "md")["resources"]["num_mpiprocs_per_machine"] == 4
    assert options_for(options, "step")["queue_name"] == "gpu"
    assert "jobs" not in options_for(options, "jax-md")


@pytest.mark.parametrize(
    ("options", "named"),
    [({"jobs": {"md": {"walltime": 1}}}, "walltime"), ({"jobs": {"mc": {}}}, "jobs.mc"), ({"ranks": 1}, "ranks")],
)
def test_unknown_options_are_named(options, named):
    assert f"unknown job options: {named}" == validate_options(orm.Dict(options), None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hostname: login.example.org", "hostname: $(ls)", "3: hostname: unusable characters; expected a Host entry"),
        ("name: cluster", "name: my cluster", "2: name: unusable characters"),
        ("work_folder: /", "work_folder: ", "4: work_folder: unusable characters; expected an absolute path"),
        ("ranks: 4", "pack: 4, ranks: 2", "9: jobs.md: pack with ranks or gpus; expected pack for jobs of one rank"),
        ("cores: 8", "pack: 4", "10: jobs.step: pack with ranks or gpus"),
        ("ranks: 4", "pack: 0", "9: jobs.md.pack"),
        ("queue: long", "stash: project", "6: stash: unusable characters; expected an absolute path"),
        ("{username}", "{USER}", "4: work_folder: braces that are not {username}"),
        ("account: p42", "acount: p42", "7: acount: unknown key; expected account"),
        ("ranks: 4", "rank: 4", "9: jobs.md.rank: unknown key; expected ranks"),
        ("cores: 8", "ranks: 8", "10: jobs.step.ranks: unknown key"),
        ("memory: 4 GB", "memory: 4", "9: jobs.md.memory: no unit"),
        ("walltime: 30 min", "walltime: 30 s", "10: jobs.step.walltime: below 60; expected a time from 1 min"),
        ("queue: long", "queue: --wrap", "6: queue: unusable characters"),
        ("queue: long", "user: me", "6: user: a user with core.ssh_async; expected `User me` below the Host entry"),
    ],
)
def test_mistakes_are_named_with_line_and_remedy(read, old, new, said):
    with pytest.raises(CampaignErrors) as raised:
        read(GOOD.replace(old, new))
    assert len(raised.value.problems) == 1
    assert f"cluster.yaml:{said}" in str(raised.value)


def test_all_mistakes_are_found_at_once(read):
    with pytest.raises(CampaignErrors) as raised:
        read(GOOD.replace("name: cluster\n", "").replace("gpus: 1", "gpus: -1").replace("12 h", "soon"))
    assert [problem.key for problem in raised.value.problems] == ["name", "jobs.md.walltime", "jobs.step.gpus"]


def test_several_processes_for_messages_between_atoms_are_refused(read, tmp_path, tiny_networks, model_node):
    tiny_networks.write("nequix", tmp_path / "tiny.nqx")
    network = NequixModel.from_file(tmp_path / "tiny.nqx", ["Ti"], [])
    options = {"jobs": read(GOOD).job_options()}
    with pytest.raises(InputError, match=r"cluster has 4 processes .* nequix passes messages .* jobs\.md\.ranks: 1"):
        check_ranks(network, options, "cluster")
    check_ranks(model_node.get_model(), options, "cluster")  # a local model may
    check_ranks(network, {"jobs": read(GOOD.replace("ranks: 4", "ranks: 1")).job_options()}, "cluster")
    check_ranks(network, {}, "localhost")

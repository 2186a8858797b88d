"""Scratch folders of a campaign that succeeded."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida_phasecal.workchains.campaign import CampaignWorkChain, remove

NAME = "0b/1c/2d3e-4f50-4a6b-8c7d-8e9f0a1b2c3d"


@pytest.fixture
def folder_of(aiida_localhost, tmp_path):
    """Return a function that makes a folder with a file, and a node for it."""

    def make(name: str) -> tuple[Path, orm.RemoteData]:
        folder = tmp_path / "it's scratch" / name
        folder.mkdir(parents=True)
        (folder / "frames.lammpstrj").write_text("x")
        return folder, orm.RemoteData(remote_path=str(folder), computer=aiida_localhost).store()

    return make


def test_folders_of_jobs_are_removed_once(folder_of):
    folder, node = folder_of(NAME)
    other, _ = folder_of(NAME.replace("0b", "ff"))
    assert remove([node]) == 1
    assert not folder.exists()
    assert node.is_cleaned
    assert (other / "frames.lammpstrj").exists()
    assert remove([node]) == 0


@pytest.mark.parametrize("name", ["data", f"{NAME}/more", "0b/1c"])
def test_nothing_else_is_removed(folder_of, name):
    folder, node = folder_of(name)
    assert remove([node]) == 0
    assert folder.exists()


def test_a_folder_that_cannot_be_removed_is_an_error(folder_of, monkeypatch):
    _, node = folder_of(NAME)
    monkeypatch.setattr(
        "aiida.transports.plugins.local.LocalTransport.exec_command_wait", lambda *_, **__: (1, "", "rm: cannot\n")
    )
    with pytest.raises(OSError, match=r"rm: cannot"):
        remove([node])
    assert not node.is_cleaned


class OneJob(CampaignWorkChain):
    """A campaign of one job that is over, and whose folder it is given."""

    @classmethod
    def define(cls, spec) -> None:
        super().define(spec)
        spec.input("folder", valid_type=orm.RemoteData)
        spec.input("status", valid_type=orm.Int)
        spec.outline(cls.call)

    def call(self) -> int:
        job = orm.CalcJobNode(computer=self.inputs.folder.computer)
        job.base.links.add_incoming(self.node, LinkType.CALL_CALC, "job")
        job.store()
        self.inputs.folder.base.links.add_incoming(job, LinkType.CREATE, "remote_folder")
        return self.inputs.status.value


@pytest.mark.parametrize(("status", "stays"), [(0, False), (402, True)])
def test_folders_of_a_campaign_that_failed_stay(folder_of, status, stays):
    folder, node = folder_of(NAME)
    _, campaign = run_get_node(OneJob, folder=node, status=orm.Int(status))
    assert campaign.exit_status == status
    assert folder.exists() is stays

"""What a work chain does that is a whole campaign: it leaves no scratch behind when it succeeded."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable

from aiida import orm

from aiida_phasecal.workchains.once import StepWorkChain

FOLDERS_AT_ONCE = 100
"""In one command, which must not become too long."""
SCRATCH = re.compile(r"/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f-]{32}$")
"""How AiiDA names the folder of a job. Nothing else is removed, whatever a record says."""


class CampaignWorkChain(StepWorkChain):
    """A work chain that somebody may launch."""

    def on_terminated(self) -> None:
        """Remove the folders of all jobs when a campaign succeeded: what is needed of them is in the record.

        Those of a campaign that failed stay, for whoever looks for the reason.
        """
        super().on_terminated()
        if self.node.caller is not None or not self.node.is_finished_ok:
            return
        jobs = (node for node in self.node.called_descendants if isinstance(node, orm.CalcJobNode))
        folders = [node.outputs.remote_folder for node in jobs if "remote_folder" in node.outputs]
        try:
            self.report(f"removed {remove(folders)} scratch folders")
        except Exception as error:  # whatever a transport raises: the campaign has succeeded
            self.report(f"scratch folders were not removed ({error}); `verdi calcjob cleanworkdir` does that")


def remove(folders: Iterable[orm.RemoteData]) -> int:
    """Remove folders of jobs with all they hold; return how many."""
    by_computer = defaultdict(list)
    for folder in folders:
        if not folder.is_cleaned and SCRATCH.search(folder.get_remote_path()):
            by_computer[folder.computer.pk].append(folder)
    for found in by_computer.values():
        with found[0].get_authinfo().get_transport() as transport:
            for start in range(0, len(found), FOLDERS_AT_ONCE):
                some = found[start : start + FOLDERS_AT_ONCE]
                words = shlex.join(folder.get_remote_path() for folder in some)
                status, _, error = transport.exec_command_wait(f"rm -rf -- {words}")
                if status != 0:
                    raise OSError(error.strip())
                for folder in some:
                    folder.base.extras.set(orm.RemoteData.KEY_EXTRA_CLEANED, True)
    return sum(map(len, by_computer.values()))

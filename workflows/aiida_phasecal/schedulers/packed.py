"""Slurm, with several jobs in one allocation where their scripts ask for it (docs/adr/0036-packed-jobs.md)."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath

from aiida.common.exceptions import FeatureNotAvailable
from aiida.engine import ExitCode
from aiida.schedulers import JobInfo, JobState, SchedulerError
from aiida.schedulers.plugins.slurm import SlurmScheduler
from aiida.transports import Transport

from aiida_phasecal.schedulers import pack

FOLDER = ".phasecal"
"""Of pack.py, in the work folder; the folders of jobs are three levels below that."""
STATES = {"PD": JobState.QUEUED, "R": JobState.RUNNING}


def send_pack(transport: Transport, work_folder: str) -> None:
    """Copy pack.py to a cluster."""
    folder = PurePosixPath(work_folder, FOLDER)
    transport.makedirs(str(folder), ignore_existing=True)
    transport.putfile(str(Path(pack.__file__).resolve()), str(folder / "pack.py"))


class PackedSlurmScheduler(SlurmScheduler):
    """Jobs whose script has a line ``#PACK places`` share allocations; all others are Slurm's own."""

    def _get_submit_command(self, submit_script: str) -> str:
        """Return the command that puts a script into a line, or into the queue."""
        packed = f"python3 ../../../{FOLDER}/pack.py submit {submit_script}"
        plain = super()._get_submit_command(submit_script)
        return f"if grep -q '^{pack.MARK} ' {submit_script}; then {packed}; else {plain}; fi"

    def _parse_submit_output(self, retval: int, stdout: str, stderr: str) -> str | ExitCode:
        """Return the name of the job."""
        if retval == 0 and is_packed(stdout.strip()):
            return stdout.strip()
        return super()._parse_submit_output(retval, stdout, stderr)

    def get_jobs(self, jobs=None, user=None, as_dict=False):
        """Return the jobs that wait or run, of those that were asked for."""
        packed = [name for name in jobs or [] if is_packed(name)]
        others = [name for name in jobs or [] if not is_packed(name)]
        found = super().get_jobs(others or None, user) if others or not packed else []
        found += self.packed_jobs(packed) if packed else []
        return {job.job_id: job for job in found} if as_dict else found

    def packed_jobs(self, names: list[str]) -> list[JobInfo]:
        """Return those of the packed jobs that wait or run.

        Raises:
            SchedulerError: Slurm did not answer.
        """
        with self.transport:
            status, out, error = self.transport.exec_command_wait(command("list", *names))
        if status != 0:
            raise SchedulerError(f"pack.py list failed: {error.strip()}")
        rows = (line.split(None, 1) for line in out.splitlines())
        return [JobInfo({"job_id": name, "job_state": STATES[state]}) for state, name in rows if name in names]

    def kill_job(self, jobid: str) -> bool:
        """End a job, or take it from the queue."""
        if not is_packed(jobid):
            return super().kill_job(jobid)
        return self.transport.exec_command_wait(command("kill", jobid))[0] == 0

    def can_get_detailed_job_info(self) -> bool:
        """Say no, or AiiDA warns about each packed job; the accounting of others is asked and read all the same."""
        return False

    def _get_detailed_job_info_command(self, job_id: str) -> str:
        """Return the command that asks the accounting, which does not know packed jobs."""
        if is_packed(job_id):
            raise FeatureNotAvailable("a packed job has no accounting")
        return super()._get_detailed_job_info_command(job_id)


def is_packed(name: str) -> bool:
    """Say whether a job was packed: its name is a path, Slurm's are numbers."""
    return name.startswith("/")


def command(word: str, *names: str) -> str:
    """Return a command of the pack.py that gave packed jobs their names."""
    return shlex.join(["python3", str(PurePosixPath(names[0]).parents[1] / "pack.py"), word, *names])

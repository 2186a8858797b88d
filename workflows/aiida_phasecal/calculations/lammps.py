"""Molecular dynamics with LAMMPS: a model and an MD task in, a thermodynamic series and frames out."""

from __future__ import annotations

from pathlib import Path

from aiida import orm
from aiida.common import AttributeDict
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida_lammps.calculations.raw import LammpsRawCalculation

from aiida_phasecal.advice import advice
from aiida_phasecal.calculations.base import MAKE_ROOM, SCHEDULER_LOG, BandedProcessSpec
from aiida_phasecal.calculations.waiting import PatientJob
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.tree import INTERRUPTED
from phasecal.engines import lammps
from phasecal.errors import PhasecalError

FILES_OF_INTERRUPTED = (lammps.LOG_FILE, lammps.DUMP_FILE, lammps.RESTART_GLOB, lammps.CONTINUE_FILE)


class LammpsMdCalculation(PatientJob, LammpsRawCalculation):
    """One LAMMPS run of phasecal: bulk sampling or a two-phase coexistence run.

    The script is the inherited ``script`` input, one of phasecal's plain LAMMPS scripts; numbers, potential and start
    configuration are written from ``task`` and ``model``.
    """

    _spec_class = BandedProcessSpec
    CACHE_VERSION = 1  # to be raised when the same inputs give another result

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("model", valid_type=ModelData, help="The potential that drives the run.")
        drop_unused_codes(spec)
        declare_md(spec, "LAMMPS", lammps.LOG_FILE)
        spec.exit_code(
            510,
            "ERROR_PHASE_LOST",
            message=advice(
                "The phase was lost, and the run stopped: {message}",
                look=f"`verdi calcjob outputcat PK {lammps.LOG_FILE}`.",
                next_step="a phase cannot be sampled where it does not live: check guess and target of the boundary, "
                "use a larger cell, or lower `calibration.max_superheating`.",
            ),
        )
        spec.inputs["metadata"]["options"]["parser_name"].default = "phasecal.lammps"
        spec.inputs["metadata"]["options"]["resources"].default = {"num_machines": 1, "num_mpiprocs_per_machine": 1}
        spec.inputs["metadata"]["options"]["withmpi"].default = False

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the script (inherited), the numbers, the potential and the start configuration."""
        calcinfo = super().prepare_for_submission(folder)
        task = self.inputs.task.get_dict()
        lammps.write_inputs(
            Path(folder.abspath), task, self.inputs.model.get_model(), restart=INTERRUPTED in self.inputs
        )
        calcinfo.codes_info[0].cmdline_params = ["-log", "none", *calcinfo.codes_info[0].cmdline_params]
        if Path(folder.abspath, lammps.ARTIFACT_FILE).exists():
            calcinfo.prepend_text = lammps.model_prologue(
                str(self.inputs.code.get_executable()),
                ranks=n_ranks(self.inputs.code.computer, self.options) if self.options.withmpi else 1,
                script=self.options.input_filename,
                output=self.options.output_filename,
            )
        calcinfo.retrieve_list += [lammps.LOG_FILE]
        calcinfo.retrieve_temporary_list = [lammps.DUMP_FILE]
        calcinfo.remote_copy_list = files_of_interrupted(self.inputs, FILES_OF_INTERRUPTED)
        return calcinfo


def drop_unused_codes(spec) -> None:
    """Take away the exit codes of aiida-lammps' own parser, which phasecal does not use."""
    for label in ("ERROR_PARSER_DETECTED_LAMMPS_RUN_ERROR", "ERROR_OUTFILE_MISSING", "ERROR_PARSING_OUTFILE"):
        del spec.exit_codes[label]


def files_of_interrupted(inputs: AttributeDict, names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return what to copy from the folder of the interrupted run, if the job continues one."""
    if (interrupted := inputs.get(INTERRUPTED)) is None:
        return []
    return [(interrupted.computer.uuid, f"{interrupted.get_remote_path()}/{name}", ".") for name in names]


def n_ranks(computer: orm.Computer, options) -> int:
    """Number of processes of a job."""
    scheduler, resources = computer.get_scheduler(), dict(options.resources)
    scheduler.preprocess_resources(resources, computer.get_default_mpiprocs_per_machine())
    return scheduler.create_job_resource(**resources).get_tot_num_mpiprocs()


def declare_md(spec, engine: str, log: str) -> None:
    """Declare task, parent folder, outputs and exit codes, which are the same for every engine."""
    spec.input(
        "task",
        valid_type=orm.Dict,
        validator=validate_task,
        help="MD task: kind, state (K, GPa), cell, numbers of steps, seed. See phasecal.engines.lammps.task.",
    )
    spec.input(
        INTERRUPTED,
        valid_type=orm.RemoteData,
        required=False,
        help="Folder of an interrupted run of the same task: continue from its newest restart file.",
    )
    spec.output(
        "thermo",
        valid_type=orm.ArrayData,
        required=False,
        help="Production series; pressures in GPa, energies in eV.",
    )
    spec.output("sample", valid_type=SampleData, required=False, help="Frames of the production stage.")

    declare_md_codes(spec, engine, log)


def declare_md_codes(spec, engine: str, log: str) -> None:
    """Declare the exit codes of every engine; they differ in its name and that of its log."""
    read_log = f"`verdi calcjob outputcat PK {log}`."
    spec.exit_code(
        302,
        "ERROR_LOG_MISSING",
        message=advice(
            f"The log of {engine} was not retrieved.",
            look=SCHEDULER_LOG,
            next_step="see that the code starts there (`verdi code test`); the run is started again by itself, at most "
            "twice.",
        ),
    )
    spec.exit_code(
        303,
        "ERROR_OUTPUT_UNREADABLE",
        message=advice(
            f"The output of {engine} cannot be read: {{message}}",
            look=read_log,
            next_step="see that disk and quota of the computer are not full; then `phasecal resume` the campaign.",
        ),
    )
    spec.exit_code(
        304,
        "ERROR_DISK_FULL",
        message=advice("The disk of the computer is full: {message}", look=SCHEDULER_LOG, next_step=MAKE_ROOM),
    )
    spec.exit_code(
        320,
        "ERROR_ENGINE",
        message=advice(
            f"{engine} stopped with an error: {{message}}",
            look=read_log,
            next_step="correct what the error names, usually the `model` of the campaign.",
        ),
    )
    spec.exit_code(
        321,
        "ERROR_BLOWN_UP",
        message=advice(
            "The run blew up (lost atoms or not-a-number): {message}",
            look=read_log,
            next_step="it was run again with half the time step; if that blew up too, the potential does not hold this "
            "state: check temperature, pressure, lattice parameter and the range in which the potential was fitted.",
        ),
    )
    declare_interruptions(spec, read_log)


def declare_interruptions(spec, read_log: str) -> None:
    """Declare the exit codes of runs that were ended from outside and can be continued or begun again."""
    restarted = "nothing: the run goes on by itself, until three jobs in a row get no further."
    spec.exit_code(
        400,
        "ERROR_INTERRUPTED",
        message=advice(
            "The run ended at step {done} of its production, before it was finished{why}.",
            look=SCHEDULER_LOG,
            next_step=restarted,
        ),
    )
    spec.exit_code(
        401,
        "ERROR_INTERRUPTED_EARLY",
        message=advice(
            "The run ended before there was anything to continue from{why}.", look=SCHEDULER_LOG, next_step=restarted
        ),
    )
    spec.exit_code(
        402,
        "ERROR_RESTART_UNREADABLE",
        message=advice(
            "The restart file cannot be read: {message}",
            look=read_log,
            next_step="nothing: a job that is killed while it writes one leaves it half done, and the run is started "
            "again from the beginning by itself.",
        ),
    )


def validate_task(node: orm.Dict, _) -> str | None:
    """Return a sentence when the MD task is not valid."""
    try:
        lammps.validate_task(node.get_dict())
    except PhasecalError as error:
        return str(error)
    return None

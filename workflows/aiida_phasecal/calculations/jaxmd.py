"""Molecular dynamics with jax-md: a model and a bulk task in, a thermodynamic series and frames out."""

from __future__ import annotations

from pathlib import Path

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder

from aiida_phasecal.calculations.base import BandedProcessSpec
from aiida_phasecal.calculations.lammps import declare_md, files_of_interrupted
from aiida_phasecal.calculations.waiting import PatientJob
from aiida_phasecal.data.model import ModelData
from phasecal.engines import jaxmd

FILES_OF_INTERRUPTED = (jaxmd.LOG_FILE, jaxmd.PART_GLOB, jaxmd.STATE_GLOB)


class JaxMdCalculation(PatientJob):
    """One bulk run with jax-md; the code is the Python of an environment with phasecal."""

    _spec_class = BandedProcessSpec
    CACHE_VERSION = 3  # to be raised when the same inputs give another result

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("model", valid_type=ModelData, help="The potential that drives the run.")
        declare_md(spec, "jax-md", jaxmd.LOG_FILE)
        spec.output("results", valid_type=orm.Dict, help="Steps done, number of atoms, wall time (s).")
        spec.inputs["metadata"]["options"]["parser_name"].default = "phasecal.jaxmd"
        spec.inputs["metadata"]["options"]["resources"].default = {"num_machines": 1, "num_mpiprocs_per_machine": 1}
        spec.inputs["metadata"]["options"]["withmpi"].default = False
        spec.inputs["metadata"]["options"]["output_filename"].default = "phasecal.out"

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write task and model."""
        jaxmd.write_inputs(Path(folder.abspath), self.inputs.task.get_dict(), self.inputs.model.get_model())
        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = ["-m", jaxmd.__name__]
        codeinfo.stdout_name = self.options.output_filename
        codeinfo.join_files = True

        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.provenance_exclude_list = [jaxmd.MODEL_FILE]
        calcinfo.retrieve_list = [jaxmd.LOG_FILE, self.options.output_filename]
        calcinfo.retrieve_temporary_list = [jaxmd.PART_GLOB]
        calcinfo.remote_copy_list = files_of_interrupted(self.inputs, FILES_OF_INTERRUPTED)
        return calcinfo

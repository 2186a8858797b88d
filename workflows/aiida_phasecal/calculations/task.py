"""A phasecal task on a computer: ``phasecal run task.json`` with its models and samples beside it."""

from __future__ import annotations

import json

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder

from aiida_phasecal.advice import advice
from aiida_phasecal.calculations.base import MAKE_ROOM, BandedProcessSpec
from aiida_phasecal.calculations.waiting import PatientJob
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from phasecal.errors import ERRORS_BY_KIND

OUTPUT = "`verdi calcjob outputcat PK phasecal.out`"
MESSAGES = {
    "input": advice(
        "The task cannot be done as asked: {message}",
        look="`verdi calcjob inputcat PK task.json`.",
        next_step="correct what the message names in the campaign file and launch it again.",
    ),
    "data": advice(
        "The data handed to the task are not usable: {message}",
        look="`verdi process show PK`, which lists the models and samples; `verdi process report` of their jobs.",
        next_step="`phasecal resume` the campaign; if a run is to blame, launch it with more `production_steps` in "
        "`protocol.bulk`.",
    ),
    "engine": advice(
        "The engine reported an error: {message}",
        look=OUTPUT + ".",
        next_step="try the potential in the engine by hand: `phasecal models export`.",
    ),
    "numeric": advice(
        "A computed number is not finite: {message}",
        look=OUTPUT + ", and the models in `verdi process show PK`.",
        next_step="the model has no energy or derivative for a frame or a change of its parameters: smaller steps "
        "(`protocol.calibration.step.max_sd`), a lower `protocol.melt_factor`, or a potential that is defined there.",
    ),
    "phase": advice(
        "A phase did not survive or the phases are swapped: {message}",
        look="`verdi process show PK`, which lists the samples; `verdi process report` of their jobs.",
        next_step="check the order of the phases of the boundary and its guess; lower `calibration.max_superheating`.",
    ),
    "overlap": advice(
        "States overlap too little: {message}",
        look=OUTPUT + ".",
        next_step="let the steps of the calibration be smaller (`protocol.calibration.step`), or sample longer.",
    ),
    "convergence": advice(
        "The task did not converge: {message}",
        look=OUTPUT + ".",
        next_step="train more parameters, protect fewer structures, or sample longer (`protocol.bulk`).",
    ),
}


class TaskCalculation(PatientJob):
    """Run one versioned phasecal task; the remote side needs phasecal, not AiiDA."""

    _spec_class = BandedProcessSpec
    CACHE_VERSION = 3  # to be raised when the same inputs give another result

    TASK_FILE = "task.json"
    RESULT_FILE = "result.json"
    REFERENCE_FILE = "reference.extxyz"

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input(
            "parameters",
            valid_type=orm.Dict,
            help="The task as `phasecal run` reads it, except for the file names of models and samples.",
        )
        spec.input_namespace("models", valid_type=ModelData, help="Models `m0`, `m1`, …; the oldest first.")
        spec.input_namespace("samples", valid_type=SampleData, help="Samples `s0`, `s1`, …")
        spec.input(
            "reference",
            valid_type=orm.SinglefileData,
            required=False,
            help="Labelled frames (extxyz) for a calibration step.",
        )
        spec.inputs["metadata"]["options"]["parser_name"].default = "phasecal.task"
        spec.inputs["metadata"]["options"]["resources"].default = {"num_machines": 1, "num_mpiprocs_per_machine": 1}
        spec.inputs["metadata"]["options"]["withmpi"].default = False
        spec.inputs["metadata"]["options"]["output_filename"].default = "phasecal.out"

        spec.output("result", valid_type=orm.Dict, help="The result of the task.")
        spec.output("model", valid_type=ModelData, required=False, help="The model that the task made.")
        spec.default_output_node = "result"

        spec.exit_code(
            302,
            "ERROR_RESULT_MISSING",
            message=advice(
                "The task left no result: {message}",
                look=OUTPUT + " and `verdi calcjob outputcat PK _scheduler-stderr.txt`.",
                next_step="see that the code `phasecal` runs there and has the memory it needs; then "
                "`phasecal resume` the campaign.",
            ),
        )
        spec.exit_code(
            304,
            "ERROR_DISK_FULL",
            message=advice("The disk of the computer is full: {message}", look=OUTPUT + ".", next_step=MAKE_ROOM),
        )
        spec.exit_code(
            303,
            "ERROR_RESULT_UNREADABLE",
            message=advice(
                "The result of the task cannot be read: {message}",
                look="`verdi calcjob outputcat PK result.json`.",
                next_step="see that disk and quota of the computer are not full; then `phasecal resume` the campaign.",
            ),
        )
        for kind, error in ERRORS_BY_KIND.items():
            spec.exit_code(error.status, f"ERROR_{kind.upper()}", message=MESSAGES[kind])

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write ``task.json``; models and samples are copied from the repository."""
        models = ordered(self.inputs.models)
        samples = ordered(self.inputs.get("samples", {}))
        index = {node.model_hash: i for i, node in enumerate(models)}
        task = self.inputs.parameters.get_dict()
        task["models"] = [f"model_{i}.safetensors" for i in range(len(models))]
        task["samples"] = [
            {"file": f"sample_{i}.npz", "model": index[node.facts["model_hash"]]} for i, node in enumerate(samples)
        ]
        references = [self.inputs.reference] if "reference" in self.inputs else []
        if references:
            task["reference"] = self.REFERENCE_FILE
        with folder.open(self.TASK_FILE, "w", encoding="utf8") as handle:
            json.dump(task, handle, indent=1)

        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = ["run", self.TASK_FILE]
        codeinfo.stdout_name = self.options.output_filename
        codeinfo.join_files = True

        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        calcinfo.local_copy_list = [
            *((node.uuid, node.filename, name) for node, name in zip(models, task["models"], strict=True)),
            *((node.uuid, node.filename, item["file"]) for node, item in zip(samples, task["samples"], strict=True)),
            *((node.uuid, node.filename, self.REFERENCE_FILE) for node in references),
        ]
        calcinfo.provenance_exclude_list = [name for _, _, name in calcinfo.local_copy_list]
        calcinfo.retrieve_list = [self.RESULT_FILE, self.options.output_filename]
        calcinfo.retrieve_temporary_list = ["*.safetensors"]
        return calcinfo


def ordered(namespace) -> list:
    """Nodes of a namespace with keys ``x0``, ``x1``, …, in the order of the numbers."""
    return [namespace[key] for key in sorted(namespace, key=lambda key: int(key[1:]))]

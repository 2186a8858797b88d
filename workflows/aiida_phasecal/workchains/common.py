"""What the work chains share: inputs of jobs, and the errors of children."""

from __future__ import annotations

from aiida import orm

from aiida_phasecal.advice import parts_of
from aiida_phasecal.data.model import ModelData
from phasecal.engines import lammps


def validate_options(node: orm.Dict, _) -> str | None:
    """Return a sentence when the options are not those of a job."""
    unknown = set(node.get_dict()) - {
        "resources",
        "max_wallclock_seconds",
        "queue_name",
        "account",
        "prepend_text",
        "withmpi",
    }
    return f"unknown job options: {', '.join(sorted(unknown))}" if unknown else None


def add_options_input(spec) -> None:
    """Declare the input ``options`` that every work chain hands down to its jobs."""
    spec.input(
        "options",
        valid_type=orm.Dict,
        default=lambda: orm.Dict({}),
        validator=validate_options,
        help="Options of every job: resources, max_wallclock_seconds (s), queue_name, account, prepend_text, withmpi.",
    )


def add_measurement_inputs(spec) -> None:
    """Declare what every chain that measures something of a campaign's model takes."""
    spec.input("model", valid_type=ModelData, help="The potential.")
    spec.input("code", valid_type=orm.AbstractCode, help="LAMMPS.")
    spec.input("campaign", valid_type=orm.Dict, help="A validated campaign with its protocol.")
    add_options_input(spec)


def samples_with_jaxmd(code: orm.AbstractCode) -> bool:
    """Say whether a code is the jax-md engine: its default job says so."""
    return code.default_calc_job_plugin == "phasecal.jaxmd"


def md_inputs(chain, task: dict) -> dict:
    """Inputs of one MD work chain for a task, with code, model and options of the calling chain."""
    inputs = {
        "model": chain.inputs.model,
        "code": chain.inputs.code,
        "task": orm.Dict(task),
        "options": chain.inputs.options,
    }
    if not samples_with_jaxmd(chain.inputs.code):
        inputs["script"] = orm.SinglefileData(lammps.script_path(task["kind"]))
    return inputs


def failure(node: orm.ProcessNode) -> str:
    """One sentence about why a child process failed."""
    return f"{node.process_label}<{node.pk}>: {parts_of(node.exit_message).what or node.process_state.value}"

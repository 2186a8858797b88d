"""What the work chains share: inputs of jobs, and the errors of children."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm

from aiida_phasecal.advice import parts_of
from aiida_phasecal.data.model import ModelData
from phasecal.engines import lammps

JOB_KINDS = ("md", "jax-md", "step")
"""Kinds of job that may have options of their own: LAMMPS, jax-md, calibration steps."""

JOB_OPTIONS = {
    "resources",
    "max_wallclock_seconds",
    "max_memory_kb",
    "queue_name",
    "account",
    "custom_scheduler_commands",
    "prepend_text",
    "stash",
    "withmpi",
}


def validate_options(node: orm.Dict, _) -> str | None:
    """Return a sentence when the options are not those of a job."""
    options = node.get_dict()
    jobs = options.pop("jobs", {})
    unknown = set(options).union(*jobs.values()) - JOB_OPTIONS
    unknown |= {f"jobs.{kind}" for kind in set(jobs) - set(JOB_KINDS)}
    return f"unknown job options: {', '.join(sorted(unknown))}" if unknown else None


def options_for(options: Mapping[str, Any], kind: str) -> dict:
    """Options of a job of one of :data:`JOB_KINDS`: those of every job, changed by those of its kind."""
    common = {key: value for key, value in options.items() if key != "jobs"}
    return common | options.get("jobs", {}).get(kind, {})


def add_options_input(spec) -> None:
    """Declare the input ``options`` that every work chain hands down to its jobs."""
    spec.input(
        "options",
        valid_type=orm.Dict,
        default=lambda: orm.Dict({}),
        validator=validate_options,
        help="Options of every job: resources, max_wallclock_seconds (s), max_memory_kb, queue_name, account, "
        "custom_scheduler_commands, prepend_text, stash, withmpi; `jobs`: what differs for `md`, `jax-md` and `step`.",
    )


def add_lammps_input(spec) -> None:
    """Declare the code of runs that only LAMMPS does: interfaces, switching, scaling."""
    spec.input("code", valid_type=orm.AbstractCode, validator=validate_lammps, help="LAMMPS.")


def validate_lammps(node: orm.AbstractCode, _) -> str | None:
    """Return a sentence when a code is the jax-md engine."""
    if not samples_with_jaxmd(node):
        return None
    return f"{node.full_label} is the jax-md engine, which samples bulk states only; this needs LAMMPS, such as lmp"


def add_bulk_code_input(spec) -> None:
    """Declare the code that samples bulk states, where that may be another than LAMMPS."""
    spec.input(
        "bulk_code",
        valid_type=orm.AbstractCode,
        required=False,
        help="What samples bulk states: LAMMPS or the jax-md engine; `code` if not given.",
    )


def handed_down(chain, **others) -> dict:
    """Inputs of a child that measures something: model, codes and options of the calling chain, unless given."""
    names = ("model", "code", "bulk_code", "campaign", "options")
    return {name: chain.inputs[name] for name in names if name in chain.inputs} | others


def sample_inputs(chain, task: dict, model: ModelData | None = None) -> dict:
    """Inputs of a bulk sample for a task, with code and options of the calling chain, and its model unless given."""
    return {
        "model": chain.inputs.model if model is None else model,
        "code": chain.inputs.get("bulk_code", chain.inputs.code),
        "task": orm.Dict(task),
        "options": chain.inputs.options,
    }


def add_measurement_inputs(spec) -> None:
    """Declare what every chain that measures something of a campaign's model takes."""
    spec.input("model", valid_type=ModelData, help="The potential.")
    add_lammps_input(spec)
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


def task_as_run(run: orm.WorkChainNode) -> orm.Dict:
    """The task that an MD work chain ran in the end; in records without that output it is the task it was given."""
    return getattr(run.outputs, "task", run.inputs.task)


def failure(node: orm.ProcessNode) -> str:
    """One sentence about why a child process failed."""
    return f"{node.process_label}<{node.pk}>: {parts_of(node.exit_message).what or node.process_state.value}"

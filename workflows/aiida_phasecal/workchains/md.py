"""One MD run brought to its end: restarts after a walltime limit, a lost job or a blown-up trajectory."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, ExitCode, ProcessHandlerReport, process_handler, while_

from aiida_phasecal.advice import advice, parts_of, passed_on
from aiida_phasecal.calculations.jaxmd import JaxMdCalculation
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.monitor import monitors
from aiida_phasecal.tree import INTERRUPTED
from aiida_phasecal.workchains.common import add_options_input, options_for
from aiida_phasecal.workchains.once import StepWorkChain
from phasecal.engines import lammps

CODES = LammpsMdCalculation.exit_codes
OUT_OF_MEMORY, OUT_OF_WALLTIME, NODE_FAILURE = 110, 120, 140
"""Codes of AiiDA's schedulers, which a job keeps when it left nothing to parse or finished all the same."""
LOST = (
    *(CODES.ERROR_INTERRUPTED.status, CODES.ERROR_INTERRUPTED_EARLY.status, CODES.ERROR_LOG_MISSING.status),
    *(OUT_OF_MEMORY, OUT_OF_WALLTIME, NODE_FAILURE),
)
"""What a run goes on after: its job was ended from outside, whether or not a scheduler says so."""
RUN_LOST_ITS_PHASE = CODES.ERROR_PHASE_LOST.status
MAX_ITERATIONS = 1000
"""Jobs of a run. Those that get further are as many as walltime and length of the run make them; others are counted."""


def declare_restart_codes(spec) -> None:
    """Give AiiDA's codes of restarted work chains the form of all others."""
    spec.exit_code(
        301,
        "ERROR_SUB_PROCESS_EXCEPTED",
        message=advice(
            "A job ended with an exception.",
            look="`verdi process status PK` for the job, `verdi process report` of the job for the exception.",
            next_step="a full disk or an unreachable computer can be mended, then `phasecal resume` the campaign; else "
            "it is a fault of phasecal: report it with the exception.",
        ),
    )
    spec.exit_code(
        302,
        "ERROR_SUB_PROCESS_KILLED",
        message=advice(
            "A job was killed.", look="`verdi process status PK`.", next_step="`phasecal resume` the campaign."
        ),
    )
    spec.exit_code(
        401,
        "ERROR_MAXIMUM_ITERATIONS_EXCEEDED",
        message=advice(
            "The run was restarted as often as is allowed and is still not finished.",
            look="`verdi process report PK`: why each job ended.",
            next_step="more walltime for each job, a smaller cell, or shorter runs in the protocol.",
        ),
    )
    spec.exit_code(
        403,
        "ERROR_NO_PROGRESS",
        message=advice(
            "{lost} jobs in a row got no further: {message}",
            look="`verdi process report PK`: why each job ended, and what the last one printed.",
            next_step="walltime must hold each stage before production and `restart_every` steps of it, memory the "
            "whole cell, and the code must start (`verdi code test`); then `phasecal resume` the campaign.",
        ),
    )
    spec.exit_code(402, "ERROR_UNHANDLED_FAILURE", message=passed_on("A job failed in a way that no restart mends."))


def going_on(step: int) -> str:
    """Say where a run goes on."""
    return f"continued from step {step} of all stages" if step else "restarted from the beginning"


def code_of(job: orm.CalcJobNode) -> ExitCode:
    """The exit code of a job, for the chain that gives up because of it."""
    return ExitCode(job.exit_status, job.exit_message)


class LammpsMdWorkChain(StepWorkChain, BaseRestartWorkChain):
    """Run :class:`LammpsMdCalculation` until it is finished.

    A job that was ended from outside is followed by one that goes on from its newest restart file, as long as jobs get
    further. A run that blew up is run once more with half the time step. Anything else, a full disk among it, is left
    to somebody who can mend it.
    """

    _process_class = LammpsMdCalculation
    KIND = "md"
    IS_WATCHED = True
    """A monitor looks at the jobs while they run."""
    MAX_LOST = 3
    """Jobs in a row that get no further, before the run is given up."""

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline and outputs."""
        super().define(spec)
        unused = ("metadata", INTERRUPTED, "files", "filenames", "settings")
        spec.expose_inputs(cls._process_class, exclude=unused)
        add_options_input(spec)
        spec.inputs["max_iterations"].default = lambda: orm.Int(MAX_ITERATIONS)
        spec.expose_outputs(cls._process_class)
        # a worker that is killed while it uploads a job leaves that job, which runs all the same, without it
        spec.outputs["remote_folder"].required = False
        spec.output(
            "task",
            valid_type=orm.Dict,
            required=False,
            help="The task as it was run: after a blow-up with half the time step.",
        )
        declare_restart_codes(spec)
        spec.outline(
            cls.setup,
            while_(cls.should_run_process)(cls.run_process, cls.inspect_process),
            cls.results,
        )

    def setup(self) -> None:
        """Collect the inputs of the first run."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(self._process_class))
        self.ctx.inputs.metadata = {"options": options_for(self.inputs.options.get_dict(), self.KIND)}
        if self.IS_WATCHED:
            self.ctx.inputs.setdefault("monitors", monitors())
        self.ctx.has_half_step = False
        self.begin_again()

    def begin_again(self) -> None:
        """Let the next job start from the beginning."""
        self.ctx.inputs.pop(INTERRUPTED, None)
        self.ctx.restart_step = 0
        self.ctx.lost = 0

    @process_handler(priority=500, exit_codes=[CODES.ERROR_BLOWN_UP])
    def handle_blown_up(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Atoms were lost or numbers became NaN: once more with half the time step, then give up."""
        if self.ctx.has_half_step:
            return ProcessHandlerReport(True, code_of(node))
        self.ctx.inputs.task = orm.Dict(lammps.with_half_step(self.ctx.inputs.task.get_dict()))
        self.ctx.has_half_step = True
        self.begin_again()
        return self.handled(node, "run again with half the time step")

    @process_handler(priority=450, exit_codes=[CODES.ERROR_PHASE_LOST])
    def handle_lost_phase(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """The phase melted or froze: the same again would do the same; the caller looks for a better temperature."""
        return ProcessHandlerReport(True, code_of(node))

    @process_handler(priority=400)
    def handle_lost(self, node: orm.CalcJobNode) -> ProcessHandlerReport | None:
        """A job was ended from outside: go on from the newest restart file there is, unless jobs get no further."""
        if node.exit_status not in LOST:
            return None
        step = node.outputs.results.get("restart_step", 0) if "results" in node.outputs else 0
        if step > self.ctx.restart_step and "remote_folder" in node.outputs:
            self.ctx.inputs[INTERRUPTED] = node.outputs.remote_folder
            self.ctx.restart_step, self.ctx.lost = step, 0
            return self.handled(node, going_on(step))
        return self.count_lost(node)

    @process_handler(priority=300, exit_codes=[CODES.ERROR_RESTART_UNREADABLE])
    def handle_bad_restart(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """A job was killed while it wrote its newest restart file: start from the beginning."""
        lost = self.ctx.lost
        self.begin_again()
        self.ctx.lost = lost
        return self.count_lost(node)

    def count_lost(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Go on from where the last job did, or give up after too many in a row that got no further."""
        self.ctx.lost += 1
        if self.ctx.lost >= self.MAX_LOST:
            message = f"[{node.exit_status}] {parts_of(node.exit_message).what}"
            code = self.exit_codes.ERROR_NO_PROGRESS.format(lost=self.ctx.lost, message=message)
            return ProcessHandlerReport(True, code)
        step = self.ctx.restart_step
        return self.handled(node, going_on(step))

    def handled(self, node: orm.CalcJobNode, action: str) -> ProcessHandlerReport:
        """Report what was done about a failed run."""
        what = parts_of(node.exit_message).what
        self.report(f"{node.process_label}<{node.pk}> failed [{node.exit_status}] {what} Action: {action}.")
        return ProcessHandlerReport(True)

    def results(self) -> None:
        """Attach the outputs, and the task as it was run.

        AiiDA leaves out what is attached to the node already, as when a killed worker had begun this step, and then
        misses it.
        """
        super().results()
        job = self.ctx.children[self.ctx.iteration - 1]
        for name in self.spec().outputs:
            if name in job.outputs:
                self.out(name, job.outputs[name])
        self.out("task", job.inputs.task)


class JaxMdWorkChain(LammpsMdWorkChain):
    """Run :class:`JaxMdCalculation` until it is finished."""

    _process_class = JaxMdCalculation
    KIND = "jax-md"
    IS_WATCHED = False  # the engine stops by itself when a number is not finite

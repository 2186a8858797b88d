"""One MD run brought to its end: restarts after a walltime limit, a lost job or a blown-up trajectory."""

from __future__ import annotations

from aiida import orm
from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, ProcessHandlerReport, process_handler, while_

from aiida_phasecal.advice import advice, parts_of, passed_on
from aiida_phasecal.calculations.jaxmd import JaxMdCalculation
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.workchains.common import add_options_input, options_for

# Codes of AiiDA's schedulers: out of memory, out of walltime, node failure.
OUT_OF_WALLTIME, NODE_FAILURE = 120, 140
CODES = LammpsMdCalculation.exit_codes


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
            next_step="if each job ran out of walltime: a smaller cell, or shorter runs in the protocol.",
        ),
    )
    spec.exit_code(402, "ERROR_UNHANDLED_FAILURE", message=passed_on("A job failed in a way that no restart mends."))


class LammpsMdWorkChain(BaseRestartWorkChain):
    """Run :class:`LammpsMdCalculation` until it is finished."""

    _process_class = LammpsMdCalculation
    KIND = "md"

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline and outputs."""
        super().define(spec)
        unused = ("metadata", "parent_folder", "files", "filenames", "settings")
        spec.expose_inputs(cls._process_class, exclude=unused)
        add_options_input(spec)
        spec.expose_outputs(cls._process_class)
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
        self.ctx.reseeded = False

    @process_handler(priority=500, exit_codes=[CODES.ERROR_BLOWN_UP])
    def handle_blown_up(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """Atoms were lost or numbers became NaN: try once with another seed, then give up."""
        if self.ctx.reseeded:
            return ProcessHandlerReport(True, CODES.ERROR_BLOWN_UP.format(message=parts_of(node.exit_message).what))
        task = self.ctx.inputs.task.get_dict()
        task["seed"] = task["seed"] % 899_999_998 + 1
        self.ctx.inputs.task = orm.Dict(task)
        self.ctx.inputs.pop("parent_folder", None)
        self.ctx.reseeded = True
        return self.handled(node, "restarted from the beginning with another seed")

    @process_handler(priority=400, exit_codes=[CODES.ERROR_INTERRUPTED])
    def handle_interrupted(self, node: orm.CalcJobNode) -> ProcessHandlerReport:
        """The run ended in production (walltime, lost job): continue from its newest restart file."""
        self.ctx.inputs.parent_folder = node.outputs.remote_folder
        return self.handled(node, "continued from its last restart file")

    @process_handler(priority=300)
    def handle_lost(self, node: orm.CalcJobNode) -> ProcessHandlerReport | None:
        """The run was lost before production (no usable output): start it again from the beginning."""
        lost = (CODES.ERROR_INTERRUPTED_EARLY.status, CODES.ERROR_LOG_MISSING.status, OUT_OF_WALLTIME, NODE_FAILURE)
        if node.exit_status not in lost:
            return None
        self.ctx.inputs.pop("parent_folder", None)
        return self.handled(node, "restarted from the beginning")

    def handled(self, node: orm.CalcJobNode, action: str) -> ProcessHandlerReport:
        """Report what was done about a failed run."""
        what = parts_of(node.exit_message).what
        self.report(f"{node.process_label}<{node.pk}> failed [{node.exit_status}] {what} Action: {action}.")
        return ProcessHandlerReport(True)


class JaxMdWorkChain(LammpsMdWorkChain):
    """Run :class:`JaxMdCalculation` until it is finished."""

    _process_class = JaxMdCalculation
    KIND = "jax-md"

"""Sample one phase at one state; refuse frames in which it is another phase."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext

from aiida_phasecal.advice import advice, passed_on
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.workchains.analysis import analyse_bulk_run
from aiida_phasecal.workchains.common import add_options_input, failure, md_inputs, samples_with_jaxmd, task_as_run
from aiida_phasecal.workchains.md import RUN_LOST_ITS_PHASE, JaxMdWorkChain, LammpsMdWorkChain
from aiida_phasecal.workchains.once import StepWorkChain


class SampleWorkChain(StepWorkChain):
    """NPT frames of one phase at one (T, P) under one model, with averages and their intervals."""

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("model", valid_type=ModelData, help="The potential.")
        spec.input("code", valid_type=orm.AbstractCode, help="LAMMPS, or the jax-md engine.")
        spec.input("task", valid_type=orm.Dict, help="MD task of kind `bulk`; see phasecal.engines.lammps.task.")
        add_options_input(spec)
        spec.outline(cls.run_md, cls.inspect_md)
        spec.output("sample", valid_type=SampleData, help="The frames.")
        spec.output("properties", valid_type=orm.Dict, help="Averages (eV/atom, Å³/atom, K) with intervals.")
        spec.exit_code(401, "ERROR_MD_FAILED", message=passed_on("The MD run failed: {message}"))
        spec.exit_code(
            510,
            "ERROR_PHASE_LOST",
            message=advice(
                "The {phase} sample is rejected: {message}",
                look="the output `properties` in `verdi process show PK`.",
                next_step="a phase cannot be sampled where it does not live: check guess and target of the boundary, "
                "use a larger cell (`protocol.bulk.n_atoms`), or lower `calibration.max_superheating`.",
            ),
        )

    def run_md(self):
        """Run the MD task."""
        process = JaxMdWorkChain if samples_with_jaxmd(self.inputs.code) else LammpsMdWorkChain
        return ToContext(md=self.submit(process, **md_inputs(self, self.inputs.task.get_dict())))

    def inspect_md(self):
        """Check the phase of every frame and the averages."""
        if self.ctx.md.exit_status == RUN_LOST_ITS_PHASE:
            phase = self.inputs.task["phase"]
            return self.exit_codes.ERROR_PHASE_LOST.format(phase=phase, message=failure(self.ctx.md))
        if not self.ctx.md.is_finished_ok:
            return self.exit_codes.ERROR_MD_FAILED.format(message=failure(self.ctx.md))
        outputs = self.ctx.md.outputs
        properties = analyse_bulk_run(outputs.sample, outputs.thermo, task_as_run(self.ctx.md))
        self.out("properties", properties)
        if not properties["accepted"]:
            return self.exit_codes.ERROR_PHASE_LOST.format(
                phase=self.inputs.task["phase"], message="; ".join(properties["rejections"])
            )
        self.out("sample", outputs.sample)
        return None

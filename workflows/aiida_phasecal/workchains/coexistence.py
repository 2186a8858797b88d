"""Melting temperature from two-phase coexistence: find it roughly, then measure it with replicas."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, while_

from aiida_phasecal.advice import advice, passed_on
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.workchains.analysis import analyse_coexistence
from aiida_phasecal.workchains.common import add_lammps_input, add_options_input, failure, md_inputs, task_as_run
from aiida_phasecal.workchains.md import LammpsMdWorkChain
from aiida_phasecal.workchains.once import StepWorkChain
from phasecal.campaign.tasks import coexistence_tasks


class CoexistenceWorkChain(StepWorkChain):
    """T_t of a solid–liquid boundary at one pressure, from NPH runs of a two-phase box.

    Stages run in order, each from the temperature the previous one found. While too few replicas of a stage kept both
    phases, or all together do not tell the temperature, more are added from a corrected temperature; those that are
    good stay. The last stage must pass every gate.
    """

    MAX_ATTEMPTS = 5
    """Of one stage."""

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("model", valid_type=ModelData, help="The potential.")
        add_lammps_input(spec)
        spec.input("parameters", valid_type=orm.Dict, help="See phasecal.campaign.tasks.coexistence_parameters.")
        add_options_input(spec)
        spec.outline(cls.setup, while_(cls.should_run_attempt)(cls.run_replicas, cls.inspect_replicas), cls.results)
        spec.output("anchor", valid_type=orm.Dict, help="T ± σ (K), replicas, seeds, model hash.")
        spec.exit_code(401, "ERROR_MD_FAILED", message=passed_on("An MD run failed: {message}"))
        spec.exit_code(
            510,
            "ERROR_NO_COEXISTENCE",
            message=advice(
                "No believable coexistence after {attempts} attempts: {message}",
                look="`verdi process report PK`: what was wrong with each attempt.",
                next_step="a guess nearer to the boundary, a larger box (`n_lateral`, `n_normal`) or longer runs in "
                "the block of the protocol that failed; or method pinning or free-energy.",
            ),
        )

    def setup(self) -> None:
        """Start with the first stage at the guess."""
        self.ctx.parameters = self.inputs.parameters.get_dict()
        self.ctx.stage = 0
        self.ctx.attempt = 0
        self.ctx.temperature_k = self.ctx.parameters["guess_k"]
        self.ctx.anchor = None
        self.ctx.usable = []

    def should_run_attempt(self) -> bool:
        """Say whether a stage is left."""
        return self.ctx.stage < len(self.ctx.parameters["stages"])

    def run_replicas(self):
        """Submit all replicas of the current stage."""
        stage = self.ctx.parameters["stages"][self.ctx.stage]
        self.ctx.tasks = coexistence_tasks(
            self.ctx.parameters, stage=stage, temperature_k=self.ctx.temperature_k, attempt=self.ctx.attempt
        )
        self.ctx.attempt += 1
        self.report(f"{stage['name']}: {len(self.ctx.tasks)} replicas from {self.ctx.temperature_k:.0f} K")
        return ToContext(
            **{
                f"replica_{i}": self.submit(LammpsMdWorkChain, **md_inputs(self, task))
                for i, task in enumerate(self.ctx.tasks)
            }
        )

    def inspect_replicas(self):
        """Analyse the replicas: next stage, another attempt, or the end."""
        runs = [self.ctx[f"replica_{i}"] for i in range(len(self.ctx.tasks))]
        for run in runs:
            if not run.is_finished_ok:
                return self.exit_codes.ERROR_MD_FAILED.format(message=failure(run))
        replicas = self.ctx.usable + [
            {"sample": run.outputs.sample, "thermo": run.outputs.thermo, "task": task_as_run(run)} for run in runs
        ]
        nodes = {f"{name}_{i}": node for i, replica in enumerate(replicas) for name, node in replica.items()}
        anchor = analyse_coexistence(wanted=orm.Int(len(runs)), **nodes)
        self.ctx.usable = [
            nodes for nodes, found in zip(replicas, anchor["replicas"], strict=True) if not found["rejections"]
        ]
        stages = self.ctx.parameters["stages"]
        last = self.ctx.stage == len(stages) - 1
        # A search only has to come near: one replica that kept both phases is enough for it.
        usable = anchor["accepted"] or (not last and anchor["temperature_k"] is not None)
        if usable:
            self.ctx.temperature_k = anchor["temperature_k"]
            self.ctx.stage += 1
            self.ctx.attempt = 0
            self.ctx.usable = []
            self.ctx.anchor = anchor
            self.report(
                f"{stages[self.ctx.stage - 1]['name']}: {anchor['temperature_k']:.1f} ± {anchor['sigma_k']:.1f} K"
            )
            return None
        reasons = "; ".join(anchor["rejections"])
        if self.ctx.attempt >= self.MAX_ATTEMPTS:
            return self.exit_codes.ERROR_NO_COEXISTENCE.format(attempts=self.ctx.attempt, message=reasons)
        self.ctx.temperature_k = anchor["next_guess_k"]
        kept = len(self.ctx.usable)
        self.report(f"not enough yet ({reasons}); {kept} replicas kept, more from {self.ctx.temperature_k:.0f} K")
        return None

    def results(self) -> None:
        """Attach the anchor."""
        self.out("anchor", self.ctx.anchor)

"""A boundary at one pressure: T_t with its interval, and ΔH, ΔS, ΔV and the slope from both bulk phases at T_t."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, WorkChain

from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.workchains.analysis import collect_transition
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain
from aiida_phasecal.workchains.common import add_options_input, failure
from aiida_phasecal.workchains.sample import SampleWorkChain
from phasecal.campaign.tasks import bulk_task, coexistence_parameters, derive_seed


class TransitionWorkChain(WorkChain):
    """Anchor a boundary of one model and measure both phases there."""

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("model", valid_type=ModelData, help="The potential.")
        spec.input("code", valid_type=orm.AbstractCode, help="LAMMPS.")
        spec.input("campaign", valid_type=orm.Dict, help="A validated campaign with its protocol.")
        spec.input(
            "state",
            valid_type=orm.Dict,
            help="`phases` (low, high temperature), `pressure_gpa`, `guess_k`, `stages` (protocol blocks), `label`.",
        )
        add_options_input(spec)
        spec.outline(cls.run_anchor, cls.inspect_anchor, cls.run_bulk, cls.inspect_bulk)
        spec.output(
            "transition", valid_type=orm.Dict, help="T ± σ (K), ΔH, ΔS, ΔV per atom, dT/dP (K/GPa), with intervals."
        )
        spec.output("anchor", valid_type=orm.Dict, help="The anchor as its method returned it.")
        spec.output_namespace("samples", valid_type=SampleData, help="`low` and `high`: both phases at T_t.")
        spec.output_namespace(
            "properties", valid_type=orm.Dict, help="`low` and `high`: averages of both phases at T_t."
        )
        spec.exit_code(401, "ERROR_ANCHOR_FAILED", message="The anchor failed: {message}")
        spec.exit_code(402, "ERROR_SAMPLE_FAILED", message="Sampling at the transition failed: {message}")

    def run_anchor(self):
        """Measure T_t."""
        campaign, state = self.inputs.campaign.get_dict(), self.inputs.state.get_dict()
        self.ctx.timestep_fs = self.inputs.model.get_model().timestep_fs
        parameters = coexistence_parameters(
            campaign,
            phases=state["phases"],
            pressure_gpa=state["pressure_gpa"],
            guess_k=state["guess_k"],
            timestep_fs=self.ctx.timestep_fs,
            stages=state["stages"],
            label=state["label"],
        )
        inputs = {name: self.inputs[name] for name in ("model", "code", "options")}
        return ToContext(anchor=self.submit(CoexistenceWorkChain, parameters=orm.Dict(parameters), **inputs))

    def inspect_anchor(self):
        """Stop when there is no anchor."""
        if not self.ctx.anchor.is_finished_ok:
            return self.exit_codes.ERROR_ANCHOR_FAILED.format(message=failure(self.ctx.anchor))
        self.out("anchor", self.ctx.anchor.outputs.anchor)
        return None

    def run_bulk(self):
        """Sample both phases at T_t."""
        campaign, state = self.inputs.campaign.get_dict(), self.inputs.state.get_dict()
        children = {}
        for role, phase in zip(("low", "high"), state["phases"], strict=True):
            task = bulk_task(
                campaign,
                phase=phase,
                temperature_k=self.ctx.anchor.outputs.anchor["temperature_k"],
                pressure_gpa=state["pressure_gpa"],
                timestep_fs=self.ctx.timestep_fs,
                seed=derive_seed(campaign["seed"], state["label"], "bulk", phase, state["pressure_gpa"]),
            )
            inputs = {name: self.inputs[name] for name in ("model", "code", "options")}
            children[role] = self.submit(SampleWorkChain, task=orm.Dict(task), **inputs)
        return ToContext(**children)

    def inspect_bulk(self):
        """Put the transition together."""
        for role in ("low", "high"):
            if not self.ctx[role].is_finished_ok:
                return self.exit_codes.ERROR_SAMPLE_FAILED.format(message=failure(self.ctx[role]))
        low, high = self.ctx.low.outputs, self.ctx.high.outputs
        self.out("samples", {"low": low.sample, "high": high.sample})
        self.out("properties", {"low": low.properties, "high": high.properties})
        self.out("transition", collect_transition(self.ctx.anchor.outputs.anchor, low.properties, high.properties))
        return None

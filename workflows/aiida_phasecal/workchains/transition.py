"""A boundary at one pressure: T_t with its interval, and ΔH, ΔS, ΔV and the slope from both bulk phases near it."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, if_, while_

from aiida_phasecal.advice import passed_on
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.workchains.analysis import collect_transition
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain
from aiida_phasecal.workchains.common import add_bulk_code_input, add_measurement_inputs, failure, sample_inputs
from aiida_phasecal.workchains.crossing import CrossingWorkChain
from aiida_phasecal.workchains.once import StepWorkChain
from aiida_phasecal.workchains.pinning import PinningWorkChain
from aiida_phasecal.workchains.sample import SampleWorkChain
from aiida_phasecal.workchains.two_melting_points import TwoMeltingPointsWorkChain
from phasecal.campaign.tasks import bulk_task, coexistence_parameters, derive_seed, is_liquid
from phasecal.units import few_bits

PHASE_LOST = SampleWorkChain.exit_codes.ERROR_PHASE_LOST.status
LOCATE = "locate"
"""Protocol block of the rough search that comes before a measurement whose guess may be far off."""
RETREAT = 0.05
"""How far, relative, a sample goes from T_t into the phase that was lost there; some crystals hardly live at T_t."""
MAX_RETREATS = 2
PINNING_STAGES = {"verification": "pinning_verification"}
"""Protocol block of pinning for the stages that have one of their own."""


class TransitionWorkChain(StepWorkChain):
    """Anchor a boundary of one model by the method of choice, and measure both phases there.

    A melting point that is to be found is located by coexistence first, whatever the method, unless the state says that
    its guess is: nothing else survives a guess that is off by a tenth. Both phases are sampled at T_t or, where one of
    them is lost there, a little into its own side.
    """

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        add_measurement_inputs(spec)
        add_bulk_code_input(spec)
        spec.input(
            "state",
            valid_type=orm.Dict,
            help="`phases` (low, high temperature), `pressure_gpa`, `guess_k`, `stages` (protocol blocks), `label`, "
            "`method` (see phasecal.campaign.methods), and `located` where nothing is to be searched for.",
        )
        spec.outline(
            cls.setup,
            if_(cls.should_locate)(cls.run_locate, cls.inspect_locate),
            cls.run_anchor,
            cls.inspect_anchor,
            while_(cls.should_sample)(cls.run_bulk, cls.inspect_bulk),
            cls.results,
        )
        spec.output(
            "transition", valid_type=orm.Dict, help="T ± σ (K), ΔH, ΔS, ΔV per atom, dT/dP (K/GPa), with intervals."
        )
        spec.output("anchor", valid_type=orm.Dict, help="The anchor as its method returned it.")
        spec.output_namespace("samples", valid_type=SampleData, help="`low` and `high`: both phases at or near T_t.")
        spec.output_namespace(
            "properties", valid_type=orm.Dict, help="`low` and `high`: averages of both phases at or near T_t."
        )
        spec.exit_code(401, "ERROR_ANCHOR_FAILED", message=passed_on("The anchor failed: {message}"))
        spec.exit_code(402, "ERROR_SAMPLE_FAILED", message=passed_on("Sampling at the transition failed: {message}"))

    def setup(self) -> None:
        """Start at the guess."""
        self.ctx.campaign, self.ctx.state = self.inputs.campaign.get_dict(), self.inputs.state.get_dict()
        self.ctx.timestep_fs = self.inputs.model.get_model().timestep_fs
        self.ctx.guess_k = self.ctx.state["guess_k"]
        located = self.ctx.state.get("located", False)
        self.ctx.stages = [stage for stage in self.ctx.state["stages"] if not (located and stage == LOCATE)]

    def should_locate(self) -> bool:
        """Say whether a melting point is searched for before it is measured in another way than by coexistence."""
        melting = is_liquid(self.ctx.campaign, self.ctx.state["phases"][1])
        return melting and LOCATE in self.ctx.stages and self.ctx.state["method"] != "coexistence"

    def coexistence(self, stages: list[str]):
        """Submit a coexistence chain of some stages from the guess."""
        keys = ("phases", "pressure_gpa", "label")
        parameters = coexistence_parameters(
            self.ctx.campaign,
            **{key: self.ctx.state[key] for key in keys},
            guess_k=self.ctx.guess_k,
            timestep_fs=self.ctx.timestep_fs,
            stages=stages,
        )
        inputs = {name: self.inputs[name] for name in ("model", "code", "options")}
        return self.submit(CoexistenceWorkChain, parameters=orm.Dict(parameters), **inputs)

    def run_locate(self):
        """Find the melting point roughly."""
        return ToContext(located=self.coexistence([LOCATE]))

    def inspect_locate(self):
        """Go on from there."""
        if not self.ctx.located.is_finished_ok:
            return self.exit_codes.ERROR_ANCHOR_FAILED.format(message=failure(self.ctx.located))
        self.ctx.guess_k = self.ctx.located.outputs.anchor["temperature_k"]
        return None

    def run_anchor(self):
        """Measure T_t."""
        if self.ctx.state["method"] == "coexistence":
            return ToContext(anchor=self.coexistence(self.ctx.stages))
        where = {key: self.ctx.state[key] for key in ("phases", "pressure_gpa", "label")}
        inputs = {name: self.inputs[name] for name in ("model", "code", "campaign", "options")}
        last = self.ctx.stages[-1]
        if self.ctx.state["method"] == "pinning":
            state = orm.Dict({**where, "temperature_k": self.ctx.guess_k, "stage": PINNING_STAGES.get(last, "pinning")})
            return ToContext(anchor=self.submit(PinningWorkChain, state=state, **inputs))
        if self.ctx.state["method"] == "two-melting-points":
            # Where a metastable crystal melts is never known beforehand: it is always searched for.
            state = orm.Dict({**where, "guess_k": self.ctx.guess_k, "stages": [LOCATE, last]})
            return ToContext(anchor=self.submit(TwoMeltingPointsWorkChain, state=state, **inputs))
        state = orm.Dict({**where, "guess_k": self.ctx.guess_k, "stage": last})
        return ToContext(anchor=self.submit(CrossingWorkChain, state=state, **inputs))

    def inspect_anchor(self):
        """Stop when there is no anchor."""
        if not self.ctx.anchor.is_finished_ok:
            return self.exit_codes.ERROR_ANCHOR_FAILED.format(message=failure(self.ctx.anchor))
        self.out("anchor", self.ctx.anchor.outputs.anchor)
        self.ctx.sample_k = few_bits(self.ctx.anchor.outputs.anchor["temperature_k"])
        self.ctx.retreats, self.ctx.sampled = 0, False
        return None

    def should_sample(self) -> bool:
        """Say whether a sample of both phases is still wanting."""
        return not self.ctx.sampled

    def run_bulk(self):
        """Sample both phases."""
        campaign, state = self.ctx.campaign, self.ctx.state
        children = {}
        for role, phase in zip(("low", "high"), state["phases"], strict=True):
            task = bulk_task(
                campaign,
                phase=phase,
                temperature_k=self.ctx.sample_k,
                pressure_gpa=state["pressure_gpa"],
                timestep_fs=self.ctx.timestep_fs,
                seed=derive_seed(campaign["seed"], state["label"], "bulk", phase),
            )
            children[role] = self.submit(SampleWorkChain, **sample_inputs(self, task))
        return ToContext(**children)

    def inspect_bulk(self):
        """Go on with both phases, or to a temperature where the one that was lost is more stable."""
        lost = [role for role in ("low", "high") if not self.ctx[role].is_finished_ok]
        if not lost:
            self.ctx.sampled = True
            return None
        run = self.ctx[lost[0]]
        if run.exit_status != PHASE_LOST or len(lost) > 1 or self.ctx.retreats == MAX_RETREATS:
            return self.exit_codes.ERROR_SAMPLE_FAILED.format(message=failure(run))
        self.ctx.retreats += 1
        self.ctx.sample_k = few_bits(self.ctx.sample_k * (1 - RETREAT if lost == ["low"] else 1 + RETREAT))
        self.report(f"{failure(run)}; sampling both phases at {self.ctx.sample_k:.0f} K")
        return None

    def results(self) -> None:
        """Put the transition together."""
        low, high = self.ctx.low.outputs, self.ctx.high.outputs
        self.out("samples", {"low": low.sample, "high": high.sample})
        self.out("properties", {"low": low.properties, "high": high.properties})
        self.out("transition", collect_transition(self.ctx.anchor.outputs.anchor, low.properties, high.properties))

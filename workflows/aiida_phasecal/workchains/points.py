"""Boundary points of one model: every boundary of a campaign at every pressure it names."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, calcfunction

from aiida_phasecal.advice import passed_on
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.workchains.campaign import CampaignWorkChain
from aiida_phasecal.workchains.common import add_bulk_code_input, add_measurement_inputs, failure, handed_down
from aiida_phasecal.workchains.transition import TransitionWorkChain
from phasecal.calibration.targets import states_of
from phasecal.campaign.tasks import state_label
from phasecal.freeenergy.diagram import joined


@calcfunction
def collect_points(model, **transitions):
    """Boundary points of one model from its measured transitions, and the lines through those of several pressures."""
    points = []
    for key in sorted(transitions):
        transition = transitions[key].get_dict()
        if transition["model_hash"] != model.model_hash:
            raise ValueError(
                f"{key} was measured with model {transition['model_hash'][:12]}, not {model.model_hash[:12]}"
            )
        points.append({**transition, "pk": transitions[key].pk})
    return PhaseDiagramData(
        points=points,
        lines=joined(points),
        model_hash=model.model_hash,
        elements=model.base.attributes.get("elements"),
    )


class BoundaryPointsWorkChain(CampaignWorkChain):
    """Measure every boundary of a campaign at every pressure for one model."""

    STAGES: tuple[str, ...] = ("locate", "transition")

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        add_measurement_inputs(spec)
        add_bulk_code_input(spec)
        spec.outline(cls.run_transitions, cls.inspect_transitions)
        spec.output("phase_diagram", valid_type=PhaseDiagramData, help="Boundary points, with intervals.")
        spec.output_namespace("transitions", valid_type=orm.Dict, help="T ± σ, ΔH, ΔS, ΔV per state: `state_0`, …")
        spec.exit_code(
            401, "ERROR_TRANSITION_FAILED", message=passed_on("A transition could not be measured: {message}")
        )

    def states(self) -> list[dict]:
        """States to measure: phases, pressure and guess."""
        return states_of(self.inputs.campaign.get_dict())

    def purpose(self) -> str:
        """Purpose of the runs; seeds depend on it."""
        return f"anchor:{self.inputs.model.model_hash[:12]}"

    def run_transitions(self):
        """Submit one transition per state."""
        self.ctx.states = self.states()
        children = {}
        for i, state in enumerate(self.ctx.states):
            label = state_label(self.purpose(), state["phases"], state["pressure_gpa"])
            where = orm.Dict({**state, "stages": list(self.STAGES), "label": label})
            children[f"state_{i}"] = self.submit(TransitionWorkChain, **handed_down(self, state=where))
        return ToContext(**children)

    def inspect_transitions(self):
        """Collect the points."""
        runs = {f"state_{i}": self.ctx[f"state_{i}"] for i in range(len(self.ctx.states))}
        for run in runs.values():
            if not run.is_finished_ok:
                return self.exit_codes.ERROR_TRANSITION_FAILED.format(message=failure(run))
        transitions = {key: run.outputs.transition for key, run in runs.items()}
        self.out("transitions", transitions)
        self.out("phase_diagram", collect_points(self.inputs.model, **transitions))
        return None

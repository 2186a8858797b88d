"""Boundaries of one model as lines over pressure: measured at few pressures, followed by their slopes in between."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, calcfunction, while_

from aiida_phasecal.advice import passed_on
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.workchains.campaign import CampaignWorkChain
from aiida_phasecal.workchains.common import (
    add_bulk_code_input,
    add_measurement_inputs,
    failure,
    handed_down,
    sample_inputs,
)
from aiida_phasecal.workchains.points import BoundaryPointsWorkChain
from aiida_phasecal.workchains.sample import SampleWorkChain
from aiida_phasecal.workchains.transition import TransitionWorkChain
from phasecal.calibration.targets import walks_of
from phasecal.campaign.tasks import bulk_task, derive_seed, state_label
from phasecal.freeenergy.diagram import MeasuredBoundary, assemble
from phasecal.freeenergy.line import predict_from
from phasecal.freeenergy.transition import transition_properties

EXPECTATION_SIGMA = 0.02
"""Relative error of the temperature at which a boundary is expected; its slope there is as uncertain."""


@calcfunction
def measure_slope(state, low, high):
    """ΔH, ΔS, ΔV and dT/dP where a boundary is expected to be, from the bulk averages of both phases there."""
    where = state.get_dict()
    expected = {"temperature_k": where["expected_k"], "sigma_k": EXPECTATION_SIGMA * where["expected_k"]}
    return orm.Dict({**where, **transition_properties(expected, low.get_dict(), high.get_dict())})


@calcfunction
def join_lines(model, **measured):
    """Lines, triple points and checks from all transitions (``b0_p0`` …) and slopes of one model."""
    nodes: dict[tuple, list] = {}
    for key in sorted(measured):
        point = measured[key].get_dict()
        anchored = "method" in point
        if anchored and point["model_hash"] != model.model_hash:
            raise ValueError(f"{key} belongs to model {point['model_hash'][:12]}, not {model.model_hash[:12]}")
        nodes.setdefault(tuple(point["phases"]), []).append((point, measured[key].pk, anchored))
    boundaries = [
        MeasuredBoundary((phases[0], phases[1]), [point for point, *_ in entries]) for phases, entries in nodes.items()
    ]
    points = []
    for boundary in boundaries:
        line = boundary.line()
        for point, pk, anchored in nodes[boundary.phases]:
            (temperature,), (sigma,) = line.temperature(point["pressure_gpa"])
            on_line = {"temperature_k": float(temperature), "sigma_k": float(sigma)}
            origin = {} if anchored else {"method": "clausius-clapeyron", "seeds": []}
            points.append({**point, **on_line, **origin, "pk": pk})
    return PhaseDiagramData(
        points=points,
        lines=assemble(boundaries),
        model_hash=model.model_hash,
        elements=model.base.attributes.get("elements"),
    )


class PhaseDiagramWorkChain(CampaignWorkChain):
    """Follow every boundary of a campaign over its pressures, from the lowest up.

    At an anchor the transition is measured; elsewhere both phases are sampled where the line so far leads to, which
    gives its slope there. All boundaries advance together.
    """

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        add_measurement_inputs(spec)
        add_bulk_code_input(spec)
        spec.outline(
            cls.setup, while_(cls.should_go_on)(cls.run_next, cls.inspect_anchors, cls.inspect_samples), cls.results
        )
        spec.output("phase_diagram", valid_type=PhaseDiagramData, help="Lines with intervals, triple points, checks.")
        spec.output_namespace(
            "measured", valid_type=orm.Dict, help="Transitions and slopes: boundary and pressure, `b0_p0`, …"
        )
        spec.exit_code(
            401, "ERROR_TRANSITION_FAILED", message=passed_on("A transition could not be measured: {message}")
        )
        spec.exit_code(402, "ERROR_SAMPLE_FAILED", message=passed_on("Sampling beside a boundary failed: {message}"))

    def setup(self) -> None:
        """Stand at the lowest pressure of every boundary."""
        self.ctx.campaign = self.inputs.campaign.get_dict()
        self.ctx.timestep_fs = self.inputs.model.get_model().timestep_fs
        self.ctx.walks = walks_of(self.ctx.campaign)
        self.ctx.index = 0
        self.ctx.measured = {}

    def should_go_on(self) -> bool:
        """Say whether a boundary has pressures left."""
        return any(self.ctx.index < len(walk["pressures_gpa"]) for walk in self.ctx.walks)

    def next_states(self) -> list[tuple[int, dict]]:
        """What is measured next: index of the boundary, and phases, pressure, expected temperature, anchor or not."""
        states = []
        for i, walk in enumerate(self.ctx.walks):
            if self.ctx.index >= len(walk["pressures_gpa"]):
                continue
            pressure = walk["pressures_gpa"][self.ctx.index]
            state = {"phases": walk["phases"], "pressure_gpa": pressure, "anchor": pressure in walk["anchors_gpa"]}
            states.append((i, {**state, "temperature_k": self.expected(i, pressure)}))
        return states

    def expected(self, boundary: int, pressure: float) -> float:
        """Temperature at which a boundary is expected at a pressure, from what is known of it so far."""
        so_far = [node.get_dict() for key, node in self.ctx.measured.items() if key.startswith(f"b{boundary}_")]
        if not so_far:
            return self.ctx.walks[boundary]["guess_k"]
        return predict_from(so_far, pressure)

    def run_next(self):
        """Measure the transition at anchors; sample both phases elsewhere."""
        self.ctx.states = self.next_states()
        children: dict[str, orm.ProcessNode] = {}
        for i, state in self.ctx.states:
            children |= self.run_anchor(i, state) if state["anchor"] else self.run_samples(i, state)
        return ToContext(**children)

    def run_anchor(self, boundary: int, state: dict) -> dict:
        """Submit the transition at one state."""
        where = {"phases": state["phases"], "pressure_gpa": state["pressure_gpa"], "guess_k": state["temperature_k"]}
        where |= {"stages": list(BoundaryPointsWorkChain.STAGES), "label": self.label(state)}
        where |= {"method": self.ctx.walks[boundary]["method"]}
        inputs = handed_down(self, state=orm.Dict(where))
        return {f"anchor_{boundary}": self.submit(TransitionWorkChain, **inputs)}

    def run_samples(self, boundary: int, state: dict) -> dict:
        """Submit one run of each phase at one state."""
        children = {}
        for role, phase in zip(("low", "high"), state["phases"], strict=True):
            task = bulk_task(
                self.ctx.campaign,
                phase=phase,
                temperature_k=state["temperature_k"],
                pressure_gpa=state["pressure_gpa"],
                timestep_fs=self.ctx.timestep_fs,
                seed=derive_seed(self.ctx.campaign["seed"], self.label(state), "bulk", phase),
            )
            children[f"{role}_{boundary}"] = self.submit(SampleWorkChain, **sample_inputs(self, task))
        return children

    def label(self, state: dict) -> str:
        """Return what the seeds of all runs at one state are made from."""
        purpose = f"diagram:{self.inputs.model.model_hash[:12]}"
        return state_label(purpose, state["phases"], state["pressure_gpa"])

    def inspect_anchors(self):
        """Keep the transitions."""
        for i, state in self.ctx.states:
            if state["anchor"]:
                run = self.ctx[f"anchor_{i}"]
                if not run.is_finished_ok:
                    return self.exit_codes.ERROR_TRANSITION_FAILED.format(message=failure(run))
                self.keep(i, run.outputs.transition)
        return None

    def inspect_samples(self):
        """Turn samples into slopes, and go on to the next pressure."""
        for i, state in self.ctx.states:
            if state["anchor"]:
                continue
            runs = [self.ctx[f"{role}_{i}"] for role in ("low", "high")]
            for run in runs:
                if not run.is_finished_ok:
                    return self.exit_codes.ERROR_SAMPLE_FAILED.format(message=failure(run))
            where = {key: state[key] for key in ("phases", "pressure_gpa")} | {"expected_k": state["temperature_k"]}
            self.keep(i, measure_slope(orm.Dict(where), *(run.outputs.properties for run in runs)))
        self.ctx.index += 1
        return None

    def keep(self, boundary: int, node: orm.Dict) -> None:
        """Remember what was measured of a boundary at the present pressure."""
        self.ctx.measured[f"b{boundary}_p{self.ctx.index}"] = node
        found = node.get_dict()
        slope = f"dT/dP {found['slope_k_gpa']:.1f} ± {found['slope_k_gpa_sigma']:.1f} K/GPa"
        where = f"{'–'.join(found['phases'])} at {found['pressure_gpa']:g} GPa"
        measured = f"{found['temperature_k']:.1f} ± {found['sigma_k']:.1f} K, " if "method" in found else ""
        self.report(f"{where}: {measured}{slope}")

    def results(self) -> None:
        """Join everything into lines."""
        self.out("measured", dict(self.ctx.measured))
        self.out("phase_diagram", join_lines(self.inputs.model, **self.ctx.measured))

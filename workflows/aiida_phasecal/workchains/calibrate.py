"""A calibration from the first anchor to the verified model (design: what happens in a calibration)."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, if_, while_

from aiida_phasecal.advice import advice, parts_of, passed_on
from aiida_phasecal.calculations.task import TaskCalculation
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.workchains.analysis import halfway_model
from aiida_phasecal.workchains.campaign import CampaignWorkChain
from aiida_phasecal.workchains.common import (
    add_bulk_code_input,
    add_lammps_input,
    add_options_input,
    failure,
    handed_down,
    options_for,
    sample_inputs,
)
from aiida_phasecal.workchains.sample import SampleWorkChain
from aiida_phasecal.workchains.transition import TransitionWorkChain
from aiida_phasecal.workchains.verify import VerifyWorkChain
from phasecal.calibration.stages import comes_near, reachable_temperature, shorter_reaches
from phasecal.calibration.targets import anchor_of, anchored_targets, step_parameters, targets_of
from phasecal.campaign.tasks import bulk_task, crystals_of, derive_seed, state_label
from phasecal.freeenergy.line import predict_from

ROOM_TEMPERATURE_K = 300.0
CODES = TaskCalculation.exit_codes
NO_OVERLAP = CODES.ERROR_OVERLAP.status
NO_RESULT = (CODES.ERROR_RESULT_MISSING.status, CODES.ERROR_SCHEDULER_NODE_FAILURE.status)
MAX_HALVINGS = 3
"""How often in a row a step is halved because the model at its end overlaps too little."""
MAX_TRIES = 5
"""How often in a row the samples of a round are tried again because a phase was lost."""
PHASE_LOST = SampleWorkChain.exit_codes.ERROR_PHASE_LOST.status


class CalibrateWorkChain(CampaignWorkChain):
    """Change a model as little as possible so that its boundaries pass through the targets, then verify it."""

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("model", valid_type=ModelData, help="The model to calibrate.")
        add_lammps_input(spec)
        add_bulk_code_input(spec)
        spec.input("task_code", valid_type=orm.AbstractCode, help="The command `phasecal` on the computer.")
        spec.input("campaign", valid_type=orm.Dict, help="A validated campaign with its protocol.")
        spec.input("reference", valid_type=orm.SinglefileData, required=False, help="Labelled frames for the steps.")
        add_options_input(spec)
        spec.outline(
            cls.setup,
            cls.run_anchors,
            cls.inspect_anchors,
            while_(cls.should_run_round)(
                cls.run_samples,
                cls.inspect_samples,
                if_(cls.samples_complete)(
                    cls.run_update,
                    cls.inspect_update,
                    if_(cls.should_anchor_again)(cls.run_anchors, cls.inspect_anchors),
                ),
            ),
            cls.run_verification,
            cls.inspect_verification,
        )
        spec.output("model", valid_type=ModelData, help="The calibrated model.")
        spec.output("phase_diagram", valid_type=PhaseDiagramData, required=False, help="Verified boundary points.")
        spec.output_namespace(
            "initial", valid_type=orm.Dict, help="Transitions of the initial model, per anchored target."
        )
        spec.output_namespace("verified", valid_type=orm.Dict, required=False, help="Verified transitions, per target.")
        spec.output(
            "estimate",
            valid_type=orm.Dict,
            required=False,
            help="Training estimate of the calibrated model: a diagnostic.",
        )
        spec.output_namespace(
            "room_temperature",
            valid_type=orm.Dict,
            required=False,
            help="Crystals at 300 K: `initial_PHASE`, `final_PHASE`.",
        )
        spec.exit_code(401, "ERROR_ANCHOR_FAILED", message=passed_on("An anchor failed: {message}"))
        spec.exit_code(402, "ERROR_SAMPLE_FAILED", message=passed_on("A sample failed: {message}"))
        spec.exit_code(403, "ERROR_UPDATE_FAILED", message=passed_on("The calibration step failed: {message}"))
        spec.exit_code(
            404, "ERROR_VERIFICATION_FAILED", message=passed_on("The verification could not be done: {message}")
        )
        spec.exit_code(
            530,
            "ERROR_NOT_CONVERGED",
            message=advice(
                "Not converged after {rounds} rounds: {message}",
                look="`phasecal status PK`: do the rounds still come nearer?",
                next_step="if they do, raise `protocol.calibration.max_rounds`; if not, train more parameters, protect "
                "fewer structures, or ask whether the targets contradict each other (`phasecal validate`).",
            ),
        )
        spec.exit_code(
            550,
            "ERROR_NOT_VERIFIED",
            message=advice(
                "Calibrated, but the verification disagrees: {message}",
                look="`phasecal show PK` and `phasecal report PK`: training estimate beside verified result.",
                next_step="longer runs and larger cells (protocol balanced or stringent); the model is on record, and "
                "`phasecal launch FILE --model` goes on from it.",
            ),
        )

    # -- setup and anchors -------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Start from the initial model; nothing is sampled yet."""
        self.ctx.campaign = self.inputs.campaign.get_dict()
        self.ctx.settings = self.ctx.campaign["protocol"]["calibration"]
        self.ctx.targets = targets_of(self.ctx.campaign)
        self.ctx.anchored = anchored_targets(self.ctx.campaign)
        self.ctx.models = [self.inputs.model]
        self.ctx.samples = []
        self.ctx.anchors = []
        self.ctx.round = 0
        self.ctx.anchored_again = 0
        self.ctx.converged = False
        self.ctx.halvings = self.ctx.steps_lost = self.ctx.tries = 0
        self.ctx.superheating = [self.ctx.settings["max_superheating"]] * len(self.ctx.targets)
        self.ctx.timestep_fs = self.inputs.model.get_model().timestep_fs

    def run_anchors(self):
        """Measure anchors: the initial model's near its guess, a corrected one's near the temperature it was led to."""
        model = self.ctx.models[-1]
        again = bool(self.ctx.anchors)
        children = {}
        for i in self.ctx.anchored:
            target = self.ctx.targets[i]
            state = {
                **{key: target[key] for key in ("phases", "pressure_gpa", "method", "located")},
                "guess_k": self.ctx.stage[i] if again else target["guess_k"],
                "stages": ["reanchor"] if again else ["locate", "anchor"],
                "label": state_label(f"anchor:{model.model_hash[:12]}", target["phases"], target["pressure_gpa"]),
            }
            children[f"anchor_{i}"] = self.submit(
                TransitionWorkChain, **handed_down(self, model=model, state=orm.Dict(state))
            )
        return ToContext(**children)

    def inspect_anchors(self):
        """Keep the anchors and the samples that came with them, and plan how far the next rounds may reach."""
        runs = {i: self.ctx[f"anchor_{i}"] for i in self.ctx.anchored}
        for run in runs.values():
            if not run.is_finished_ok:
                return self.exit_codes.ERROR_ANCHOR_FAILED.format(message=failure(run))
            self.ctx.samples += [run.outputs.samples.low, run.outputs.samples.high]
        transitions = {i: run.outputs.transition for i, run in runs.items()}
        if self.ctx.anchors:
            self.ctx.anchored_again += 1
            self.ctx.converged = False
        else:
            self.out("initial", {f"target_{i}": transition for i, transition in transitions.items()})
        # An estimate that served as an anchor of this model on the way would else stand beside what is now measured.
        model_hash = self.ctx.models[-1].model_hash
        self.ctx.anchors = [anchor for anchor in self.ctx.anchors if anchor["model_hash"] != model_hash]
        self.ctx.anchors += [anchor_of(transition.get_dict()) for transition in transitions.values()]
        self.ctx.boundaries = self.expected({i: transition.get_dict() for i, transition in transitions.items()})
        self.ctx.latest = self.ctx.boundaries
        self.ctx.stage = self.reachable(self.ctx.boundaries)
        return None

    def expected(self, measured: dict[int, dict]) -> list[float]:
        """Temperature of the boundary at each target: measured, or on the line through what was measured of it."""

        def on_line(target: dict) -> float:
            of_boundary = [found for found in measured.values() if found["phases"] == target["phases"]]
            return predict_from(of_boundary, target["pressure_gpa"])

        return [
            measured[i]["temperature_k"] if i in measured else on_line(target)
            for i, target in enumerate(self.ctx.targets)
        ]

    def reachable(self, boundaries_k: list[float]) -> list[float]:
        """Temperature at which each target can be worked on, given where the model has its boundaries."""
        return [
            reachable_temperature(target["temperature_k"], boundary_k, reach)
            for target, boundary_k, reach in zip(self.ctx.targets, boundaries_k, self.ctx.superheating, strict=True)
        ]

    # -- rounds ------------------------------------------------------------------------------------------------------

    def should_run_round(self) -> bool:
        """Say whether another round is needed and allowed."""
        return not self.ctx.converged and self.ctx.round < self.ctx.settings["max_rounds"]

    def missing_states(self) -> list[tuple[str, float, float, str]]:
        """States (phase, T, P, model) of the current and the anchor's model that are still to be sampled."""
        have = {
            (facts["phase"], round(facts["temperature_k"], 3), facts["pressure_gpa"], facts["model_hash"])
            for facts in (node.facts for node in self.ctx.samples)
        }
        wanted = [
            (phase, stage, target["pressure_gpa"], model_hash)
            for target, stage in zip(self.ctx.targets, self.ctx.stage, strict=True)
            for model_hash in (self.anchored_model(target["phases"]), self.ctx.models[-1].model_hash)
            for phase in target["phases"]
        ]
        return [state for state in dict.fromkeys(wanted) if (state[0], round(state[1], 3), *state[2:]) not in have]

    def anchored_model(self, phases: list[str]) -> str:
        """Hash of the newest model for which the boundary of two phases is known."""
        return next(anchor["model_hash"] for anchor in reversed(self.ctx.anchors) if anchor["phases"] == phases)

    def run_samples(self):
        """Sample every phase at every state of the round."""
        self.ctx.states = self.missing_states()
        models = {node.model_hash: node for node in self.ctx.models}
        children = {}
        for i, (phase, temperature_k, pressure_gpa, model_hash) in enumerate(self.ctx.states):
            state = {"phase": phase, "temperature_k": temperature_k, "pressure_gpa": pressure_gpa}
            older = [] if model_hash == self.ctx.models[-1].model_hash else [model_hash]
            again = [self.ctx.tries] if self.ctx.tries else []  # what was lost is not run a second time
            seed = derive_seed(self.ctx.campaign["seed"], "round", self.ctx.round, *state.values(), *older, *again)
            task = bulk_task(self.ctx.campaign, **state, timestep_fs=self.ctx.timestep_fs, seed=seed)
            children[f"sample_{i}"] = self.submit(SampleWorkChain, **sample_inputs(self, task, models[model_hash]))
        return ToContext(**children)

    def inspect_samples(self):
        """Keep the samples; when a phase was lost, try again."""
        runs = [self.ctx[f"sample_{i}"] for i in range(len(self.ctx.states))]
        failed = [(state, run) for state, run in zip(self.ctx.states, runs, strict=True) if not run.is_finished_ok]
        self.ctx.complete = not failed
        self.ctx.samples += [run.outputs.sample for run in runs if run.is_finished_ok]
        self.ctx.tries = self.ctx.tries + 1 if failed else 0
        for _, run in failed:
            if run.exit_status != PHASE_LOST or self.ctx.tries > MAX_TRIES:
                return self.exit_codes.ERROR_SAMPLE_FAILED.format(message=failure(run))
        if failed:
            where, least = (self.ctx.targets, self.ctx.stage, self.ctx.latest), self.ctx.settings["min_superheating"]
            lost = {state[:3] for state, _ in failed}
            self.ctx.superheating = shorter_reaches(*where, self.ctx.superheating, lost=lost, least=least)
            self.ctx.stage = self.reachable(self.ctx.boundaries)
            stage = ", ".join(f"{t:.0f} K" for t in self.ctx.stage)
            self.report(f"{failure(failed[0][1])}; trying again at {stage}")
        return None

    def samples_complete(self) -> bool:
        """Say whether all states of the round are sampled."""
        return self.ctx.complete

    def run_update(self):
        """Estimate ΔG of the current model and make the next one."""
        self.ctx.round += 1
        parameters = step_parameters(
            self.ctx.campaign,
            anchors=self.ctx.anchors,
            model_hashes=[node.model_hash for node in self.ctx.models],
            stage_temperatures_k=self.ctx.stage,
        )
        inputs = {
            "code": self.inputs.task_code,
            "parameters": orm.Dict(parameters),
            "models": {f"m{i}": node for i, node in enumerate(self.ctx.models)},
            "samples": {f"s{i}": node for i, node in enumerate(self.ctx.samples)},
            **({"reference": self.inputs.reference} if "reference" in self.inputs else {}),
            "metadata": {
                "options": options_for(self.inputs.options.get_dict(), "step"),
                "call_link_label": f"round_{self.ctx.round:02d}",
            },
        }
        return ToContext(step_job=self.submit(TaskCalculation, **inputs))

    def inspect_update(self):
        """Decide: done, measure again near the target, or go on with the next model."""
        if not self.ctx.step_job.is_finished_ok:
            status = self.ctx.step_job.exit_status
            if (status in NO_RESULT and self.run_step_again()) or (status == NO_OVERLAP and self.step_back()):
                return None
            return self.exit_codes.ERROR_UPDATE_FAILED.format(message=failure(self.ctx.step_job))
        self.ctx.halvings = self.ctx.steps_lost = 0
        result = self.ctx.step_job.outputs.result
        estimates = ", ".join(f"{t['temperature_k']:.1f} ± {t['sigma_k']:.1f} K" for t in result["targets"])
        self.report(f"round {self.ctx.round}: {estimates}{', converged' if result['converged'] else ''}")
        self.ctx.result = result
        self.ctx.latest = [target["temperature_k"] for target in result["targets"]]
        self.ctx.converged = result["converged"]
        if self.reach_further(result):
            return None
        # A fresh anchor is always followed by one correcting step, however small.
        if not result["converged"] or (self.ctx.anchored_again and self.model_is_anchored()):
            self.ctx.converged = False
            self.ctx.models.append(self.ctx.step_job.outputs.model)
        return None

    def run_step_again(self) -> bool:
        """Let a step that left nothing run a second time: as a rule its machine was restarted under it."""
        self.ctx.steps_lost += 1
        if self.ctx.steps_lost > 1:
            return False
        self.ctx.round -= 1
        self.report(f"{failure(self.ctx.step_job)}; running it again")
        return True

    def step_back(self) -> bool:
        """Replace the current model, which overlaps too little with others, by one halfway to the model before it.

        The trust region is an estimate from the frames of the model before; those of the current one can prove it
        wrong. A model that carries an anchor is compared with no older one, so that nothing halfway would help.
        """
        current = self.ctx.models[-1]
        is_anchored = any(anchor["model_hash"] == current.model_hash for anchor in self.ctx.anchors)
        if len(self.ctx.models) < 2 or is_anchored or self.ctx.halvings >= MAX_HALVINGS:
            return False
        self.ctx.halvings += 1
        self.ctx.models[-1] = halfway_model(self.ctx.models[-2], current)
        self.ctx.samples = [node for node in self.ctx.samples if node.facts["model_hash"] != current.model_hash]
        self.report(f"{failure(self.ctx.step_job)}; going on from a model halfway back")
        return True

    def reach_further(self, result: orm.Dict) -> bool:
        """Move the rounds on when they work short of the targets and the current model allows more.

        Where the model has its boundaries now, by the estimate of this round, serves as its anchor from here on: good
        enough on the way, because a measured anchor near the target replaces it in the end.
        """
        boundaries, stage = self.ctx.latest, self.reachable(self.ctx.latest)
        targets_k = [target["temperature_k"] for target in self.ctx.targets]
        near = comes_near(targets_k, boundaries, self.ctx.stage, self.ctx.superheating)
        if self.at_target() or not (result["converged"] or near or self.is_at_target(stage)):
            return False
        model_hash = self.ctx.models[-1].model_hash
        self.ctx.anchors += [anchor_of({**target, "model_hash": model_hash}) for target in result["targets"]]
        self.ctx.boundaries, self.ctx.stage, self.ctx.converged = boundaries, stage, False
        self.report(f"going on at {', '.join(f'{t:.0f} K' for t in stage)}")
        return True

    def model_is_anchored(self) -> bool:
        """Say whether the newest anchor was measured with the current model."""
        return self.ctx.anchors[-1]["model_hash"] == self.ctx.models[-1].model_hash

    def at_target(self) -> bool:
        """Say whether the rounds work at the experimental temperatures themselves."""
        return self.is_at_target(self.ctx.stage)

    def is_at_target(self, stage: list[float]) -> bool:
        """Say whether the temperatures of a stage are the experimental ones."""
        return all(abs(s - t["temperature_k"]) < 1e-6 for s, t in zip(stage, self.ctx.targets, strict=True))

    def should_anchor_again(self) -> bool:
        """Say whether the converged model needs a fresh anchor near the target."""
        return self.ctx.converged and self.ctx.anchored_again < self.ctx.settings["reanchors"]

    # -- verification ------------------------------------------------------------------------------------------------

    def run_verification(self):
        """Verify the final model with fresh seeds; crystals at 300 K show what else changed."""
        if not self.ctx.converged:
            worst = max(self.ctx.result["targets"], key=lambda t: abs(t["temperature_k"] - t["target_k"]))
            message = f"{worst['temperature_k']:.1f} ± {worst['sigma_k']:.1f} K for {worst['target_k']:.1f} K"
            return self.exit_codes.ERROR_NOT_CONVERGED.format(rounds=self.ctx.round, message=message)
        self.out("model", self.ctx.models[-1])
        self.out("estimate", self.ctx.result)
        children = {"verification": self.submit(VerifyWorkChain, **handed_down(self, model=self.ctx.models[-1]))}
        for role, model in (("initial", self.ctx.models[0]), ("final", self.ctx.models[-1])):
            for phase in crystals_of(self.ctx.campaign):
                task = bulk_task(
                    self.ctx.campaign,
                    phase=phase,
                    temperature_k=ROOM_TEMPERATURE_K,
                    pressure_gpa=0.0,
                    timestep_fs=self.ctx.timestep_fs,
                    seed=derive_seed(self.ctx.campaign["seed"], "room temperature", role, phase),
                )
                children[f"room_{role}_{phase}"] = self.submit(SampleWorkChain, **sample_inputs(self, task, model))
        return ToContext(**children)

    def inspect_verification(self):
        """The verified numbers are the result."""
        room = {
            f"{role}_{phase}": self.ctx[f"room_{role}_{phase}"].outputs.properties
            for role in ("initial", "final")
            for phase in crystals_of(self.ctx.campaign)
            if self.ctx[f"room_{role}_{phase}"].is_finished_ok
        }
        if room:
            self.out("room_temperature", room)
        run = self.ctx.verification
        if "phase_diagram" not in run.outputs:
            return self.exit_codes.ERROR_VERIFICATION_FAILED.format(message=failure(run))
        self.out("verified", {key: node for key, node in run.outputs.transitions.items()})
        self.out("phase_diagram", run.outputs.phase_diagram)
        if not run.is_finished_ok:
            return self.exit_codes.ERROR_NOT_VERIFIED.format(message=parts_of(run.exit_message).what)
        return None

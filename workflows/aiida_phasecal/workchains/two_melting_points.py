"""A boundary of two crystals from the melting points of both, and Gibbs–Helmholtz from there."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, calcfunction, while_

from aiida_phasecal.advice import advice, passed_on
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain
from aiida_phasecal.workchains.common import add_measurement_inputs, failure
from aiida_phasecal.workchains.once import StepWorkChain
from aiida_phasecal.workchains.sample import SampleWorkChain
from phasecal.campaign.tasks import coexistence_parameters
from phasecal.campaign.two_melting_tasks import enthalpy_tasks, ladder, melt_of, melting_guess
from phasecal.errors import DataError, InputError, PhaseError
from phasecal.freeenergy import two_melting_points
from phasecal.units import few_bits

ROLES = ("low", "high")


def phases_of(low, high, nodes) -> two_melting_points.Phases:
    """Both melting points and the enthalpies of all runs (`properties_low_0`, `task_low_0`, …)."""
    enthalpies: dict[str, dict[float, tuple[float, float]]] = {"low": {}, "high": {}, "melt": {}}
    for name, properties in nodes.items():
        if name.startswith("properties_"):
            run = name.removeprefix("properties_")
            enthalpy = properties["enthalpy_ev"]
            at = nodes[f"task_{run}"]["temperature_k"]
            enthalpies[run.partition("_")[0]][at] = (enthalpy["value"], enthalpy["sigma"])
    return two_melting_points.Phases(
        low_k=(low["temperature_k"], low["sigma_k"]),
        high_k=(high["temperature_k"], high["sigma_k"]),
        low=enthalpies["low"],
        high=enthalpies["high"],
        melt=enthalpies["melt"],
    )


@calcfunction
def find_transition(state, low, high, **nodes):
    """T_t from the melting points `low` and `high` and bulk runs, as an anchor; if there is none, where to go on."""
    where = state.get_dict()
    phases = phases_of(low, high, nodes)
    tasks = [node for name, node in nodes.items() if name.startswith("task_")]
    common = {
        "method": "two-melting-points",
        "phases": where["phases"],
        "pressure_gpa": where["pressure_gpa"],
        "seeds": [*low["seeds"], *high["seeds"], *(task["seed"] for task in tasks)],
        "n_atoms": low["n_atoms"],
        "model_hash": low["model_hash"],
        "melting": [
            {"phase": phase, "temperature_k": anchor["temperature_k"], "sigma_k": anchor["sigma_k"]}
            for phase, anchor in zip(where["phases"], (low, high), strict=True)
        ],
    }
    try:
        found = two_melting_points.transition(phases, where["max_extrapolation"])
    except DataError as error:
        next_k = two_melting_points.next_temperature(phases)
        return orm.Dict({**common, "accepted": False, "rejections": [str(error)], "next_guess_k": next_k})
    except PhaseError as error:
        return orm.Dict({**common, "accepted": False, "rejections": [str(error)], "next_guess_k": None})
    return orm.Dict(
        {**common, **found.to_dict(), "accepted": True, "rejections": [], "next_guess_k": found.temperature_k}
    )


class TwoMeltingPointsWorkChain(StepWorkChain):
    """T_t of two crystals at one pressure, from coexistence of each with the melt and bulk enthalpies.

    Both crystals are sampled from the guess of the boundary up to the lower melting point; where they do not meet in
    this window, once more below it.
    """

    MAX_ATTEMPTS = 4

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        add_measurement_inputs(spec)
        spec.input(
            "state",
            valid_type=orm.Dict,
            help="`phases` (low-, high-temperature crystal), `pressure_gpa`, `guess_k` (of the boundary), `stages` "
            "(protocol blocks of the melting points), `label`.",
        )
        spec.outline(
            cls.setup,
            cls.run_melting,
            cls.inspect_melting,
            while_(cls.should_sample)(cls.run_samples, cls.inspect_samples),
            cls.results,
        )
        spec.output(
            "anchor", valid_type=orm.Dict, help="T ± σ (K) and what makes σ, ΔH, melting points, seeds, model hash."
        )
        spec.exit_code(
            210,
            "ERROR_PHASES",
            message=advice(
                "The boundary has no two melting points: {message}",
                look="`phases` and `method` of the campaign file.",
                next_step="add the melt of the same elements to the phases, or choose method free-energy.",
            ),
        )
        spec.exit_code(
            401, "ERROR_MELTING_FAILED", message=passed_on("The melting point of {phase} was not found: {message}")
        )
        spec.exit_code(402, "ERROR_SAMPLE_FAILED", message=passed_on("An enthalpy could not be sampled: {message}"))
        spec.exit_code(
            510,
            "ERROR_PHASE_LOST",
            message=advice(
                "The {phase} does not live at {temperature_k} K, between melting and the boundary: {message}",
                look="`verdi process report PK`: the melting points, and where the crystals were sampled.",
                next_step="measure this boundary by `method: free-energy`.",
            ),
        )
        spec.exit_code(
            511,
            "ERROR_NO_TRANSITION",
            message=advice(
                "The melting points give no boundary: {message}",
                look="`verdi process report PK`: both melting points with their intervals.",
                next_step="the crystal that is stable when hot must melt at the higher temperature: check the order of "
                "the phases; else the potential does not have this boundary.",
            ),
        )

    def setup(self):
        """Refuse phases without two melting points."""
        self.ctx.campaign, self.ctx.state = self.inputs.campaign.get_dict(), self.inputs.state.get_dict()
        try:
            self.ctx.melt = melt_of(self.ctx.campaign, self.ctx.state["phases"])
        except InputError as error:
            return self.exit_codes.ERROR_PHASES.format(message=str(error))
        self.ctx.timestep_fs = self.inputs.model.get_model().timestep_fs
        self.ctx.attempt = 0
        self.ctx.nodes = {}
        self.ctx.anchor = None
        return None

    def run_melting(self):
        """Submit both coexistence chains; the label keeps their seeds apart from each other's and all other runs'."""
        state, children = self.ctx.state, {}
        for role, phase in zip(ROLES, state["phases"], strict=True):
            parameters = coexistence_parameters(
                self.ctx.campaign,
                phases=[phase, self.ctx.melt],
                pressure_gpa=state["pressure_gpa"],
                guess_k=melting_guess(self.ctx.campaign, state, phase),
                timestep_fs=self.ctx.timestep_fs,
                stages=state["stages"],
                label=f"{state['label']}:two-melting-points:{phase}",
            )
            inputs = {name: self.inputs[name] for name in ("model", "code", "options")}
            children[f"melting_{role}"] = self.submit(CoexistenceWorkChain, parameters=orm.Dict(parameters), **inputs)
        return ToContext(**children)

    def inspect_melting(self):
        """Choose where the phases are sampled, if the order of the melting points allows a boundary below them."""
        melting = []
        for role, phase in zip(ROLES, self.ctx.state["phases"], strict=True):
            run = self.ctx[f"melting_{role}"]
            if not run.is_finished_ok:
                return self.exit_codes.ERROR_MELTING_FAILED.format(phase=phase, message=failure(run))
            anchor = run.outputs.anchor
            melting.append((anchor["temperature_k"], anchor["sigma_k"]))
            self.report(f"{phase} melts at {anchor['temperature_k']:.1f} ± {anchor['sigma_k']:.1f} K")
        try:
            two_melting_points.check_order(*melting)
        except PhaseError as error:
            return self.exit_codes.ERROR_NO_TRANSITION.format(message=str(error))
        temperatures = self.ctx.campaign["protocol"]["two_melting_points"]["temperatures"]
        self.ctx.wanted = ladder(self.ctx.state, (melting[0][0], melting[1][0]), temperatures)
        return None

    def should_sample(self) -> bool:
        """Say whether there is no boundary yet."""
        return self.ctx.anchor is None

    def run_samples(self):
        """Submit the bulk runs at the temperatures that are wanted."""
        self.ctx.tasks = enthalpy_tasks(self.ctx.campaign, self.ctx.state, self.ctx.wanted, self.ctx.timestep_fs)
        inputs = {name: self.inputs[name] for name in ("model", "code", "options")}
        lowest = min(self.ctx.wanted["low"])
        self.report(f"{len(self.ctx.tasks)} bulk runs, crystals from {lowest:.0f} K")
        return ToContext(
            **{
                f"run_{name}": self.submit(SampleWorkChain, task=orm.Dict(task), **inputs)
                for name, task in self.ctx.tasks.items()
            }
        )

    def inspect_samples(self):
        """Find the boundary, or where to sample both crystals next."""
        for name, task in self.ctx.tasks.items():
            run = self.ctx[f"run_{name}"]
            if run.exit_status == SampleWorkChain.exit_codes.ERROR_PHASE_LOST.status:
                return self.exit_codes.ERROR_PHASE_LOST.format(
                    phase=task["phase"], temperature_k=f"{task['temperature_k']:.0f}", message=failure(run)
                )
            if not run.is_finished_ok:
                return self.exit_codes.ERROR_SAMPLE_FAILED.format(message=failure(run))
            key = f"{name}_{self.ctx.attempt}"  # runs of earlier attempts stay
            self.ctx.nodes |= {f"properties_{key}": run.outputs.properties, f"task_{key}": run.inputs.task}
        self.ctx.attempt += 1
        share = self.ctx.campaign["protocol"]["two_melting_points"]["max_extrapolation"]
        where = orm.Dict({**self.ctx.state, "max_extrapolation": share})
        melting = (self.ctx[f"melting_{role}"].outputs.anchor for role in ROLES)
        found = find_transition(where, *melting, **self.ctx.nodes)
        if found["accepted"]:
            self.ctx.anchor = found
            self.report(f"the crystals meet at {found['temperature_k']:.1f} ± {found['sigma_k']:.1f} K")
            return None
        reasons = "; ".join(found["rejections"])
        if found["next_guess_k"] is None or self.ctx.attempt >= self.MAX_ATTEMPTS:
            return self.exit_codes.ERROR_NO_TRANSITION.format(message=reasons)
        next_k = few_bits(found["next_guess_k"])
        self.ctx.wanted = {"low": [next_k], "high": [next_k], "melt": []}
        self.report(f"{reasons}; next at {next_k:.0f} K")
        return None

    def results(self) -> None:
        """Attach the anchor."""
        self.out("anchor", self.ctx.anchor)

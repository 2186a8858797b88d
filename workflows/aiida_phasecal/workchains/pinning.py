"""ΔG of a solid–liquid boundary at a chosen (T, P) by interface pinning, and T_t from it."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, calcfunction, while_

from aiida_phasecal.advice import advice, passed_on
from aiida_phasecal.workchains.analysis import thermo_of
from aiida_phasecal.workchains.common import add_measurement_inputs, failure, md_inputs, task_as_run
from aiida_phasecal.workchains.md import LammpsMdWorkChain
from aiida_phasecal.workchains.once import StepWorkChain
from phasecal.campaign.pinning_tasks import block_of, check_phases, pinned_tasks, reference_task
from phasecal.errors import DataError, InputError
from phasecal.freeenergy import pinned_runs, pinning


def run_nodes(name: str, run: orm.WorkChainNode) -> dict[str, orm.Node]:
    """What the analysis needs of one run, under keys with its name."""
    return {
        f"sample_{name}": run.outputs.sample,
        f"thermo_{name}": run.outputs.thermo,
        f"task_{name}": task_as_run(run),
    }


def references_of(nodes) -> list[pinned_runs.Reference]:
    """Both references, analysed."""
    return [
        pinned_runs.analyse_reference(
            nodes[f"sample_{role}"].get_sample(), thermo_of(nodes[f"thermo_{role}"]), nodes[f"task_{role}"].get_dict()
        )
        for role in ("solid", "liquid")
    ]


@calcfunction
def choose_bias(**nodes):
    """Strength and anchor of the bias from the references (`sample_solid`, …); none when they are rejected."""
    solid, liquid = references_of(nodes)
    rejections = solid.rejections + liquid.rejections
    if rejections:
        return orm.Dict({"rejections": rejections})
    try:
        kappa_ev, anchor = pinning.bias_of(solid, liquid)
    except DataError as error:
        return orm.Dict({"rejections": [str(error)]})
    return orm.Dict({"kappa_ev": kappa_ev, "anchor": anchor, "rejections": []})


@calcfunction
def analyse_pinning(**nodes):
    """ΔG at one temperature, and T_t from it (`sample_solid`, `sample_liquid`, `sample_0`, `thermo_0`, `task_0`, …)."""
    solid, liquid = references_of(nodes)
    replicas = [
        pinned_runs.analyse_pinned(
            nodes[f"sample_{i}"].get_sample(),
            thermo_of(nodes[f"thermo_{i}"]),
            nodes[f"task_{i}"].get_dict(),
            solid,
            liquid,
        )
        for i in range(len(nodes) // 3 - 2)
    ]
    task = nodes["task_solid"].get_dict()
    return orm.Dict(
        {
            **pinning.combine_replicas(solid, liquid, replicas).to_dict(),
            "method": "pinning",
            "phases": task["phases"],
            "pressure_gpa": task["pressure_gpa"],
            "model_hash": nodes["sample_solid"].facts["model_hash"],
        }
    )


@calcfunction
def combine_pinning(**points):
    """T_t from the points at all temperatures (`point_0`, …), in the order in which they were measured."""
    return orm.Dict(pinning.combine_points([points[f"point_{i}"].get_dict() for i in range(len(points))]))


class PinningWorkChain(StepWorkChain):
    """ΔG and T_t of a solid–liquid boundary at one pressure, from an interface that a bias holds at (T, P).

    Each attempt makes a bulk reference of both phases, chooses the bias from them and runs the replicas. A rejected
    attempt is repeated from a corrected temperature; an accepted one far from the boundary is followed by one nearer.
    """

    MAX_ATTEMPTS = 5

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        add_measurement_inputs(spec)
        spec.input(
            "state",
            valid_type=orm.Dict,
            help="`phases` (solid, liquid), `pressure_gpa`, `temperature_k` where ΔG is measured first, `label`, "
            "and `stage` (protocol block) where it is not `pinning`.",
        )
        spec.outline(
            cls.setup,
            while_(cls.should_run_attempt)(cls.run_solid, cls.run_liquid, cls.run_replicas, cls.inspect_replicas),
            cls.results,
        )
        spec.output(
            "anchor", valid_type=orm.Dict, help="T ± σ (K), ΔG, ΔH (eV/atom) and ΔV (Å³/atom), runs, seeds, model hash."
        )
        spec.exit_code(
            210,
            "ERROR_PHASES",
            message=advice(
                "The boundary is not one of a solid and its liquid: {message}",
                look="`method`, `verify` and `phases` of the boundary in the campaign file.",
                next_step="put the crystal first and its melt second, or choose another method.",
            ),
        )
        spec.exit_code(401, "ERROR_MD_FAILED", message=passed_on("An MD run failed: {message}"))
        spec.exit_code(
            510,
            "ERROR_NOT_PINNED",
            message=advice(
                "No believable pinned interface after {attempts} attempts: {message}",
                look="`verdi process report PK`: what was wrong with each attempt.",
                next_step="a guess nearer to the boundary, a larger box (`n_lateral`, `n_normal`) or longer runs in "
                "`protocol.pinning`; or another method.",
            ),
        )

    def setup(self):
        """Start at the given temperature."""
        self.ctx.campaign, self.ctx.state = self.inputs.campaign.get_dict(), self.inputs.state.get_dict()
        try:
            check_phases(self.ctx.campaign, self.ctx.state["phases"])
        except InputError as error:
            return self.exit_codes.ERROR_PHASES.format(message=str(error))
        self.ctx.timestep_fs = self.inputs.model.get_model().timestep_fs
        self.ctx.temperature_k = self.ctx.state["temperature_k"]
        self.ctx.attempt = 0
        self.ctx.points = []
        self.ctx.finished = False
        return None

    def should_run_attempt(self) -> bool:
        """Say whether another temperature is wanted."""
        return not self.ctx.finished

    def where(self) -> dict:
        """State of the current attempt, as the task builders take it."""
        return {
            "temperature_k": self.ctx.temperature_k,
            "timestep_fs": self.ctx.timestep_fs,
            "attempt": self.ctx.attempt,
        }

    def run_solid(self):
        """Submit the crystal, whose lateral edges the other runs take."""
        self.report(f"attempt {self.ctx.attempt + 1}: references at {self.ctx.temperature_k:.0f} K")
        task = reference_task(self.ctx.campaign, self.ctx.state, role="solid", **self.where())
        return ToContext(solid=self.submit(LammpsMdWorkChain, **md_inputs(self, task)))

    def run_liquid(self):
        """Submit the liquid in the crystal's lateral edges."""
        if not self.ctx.solid.is_finished_ok:
            return self.exit_codes.ERROR_MD_FAILED.format(message=failure(self.ctx.solid))
        thermo = self.ctx.solid.outputs.thermo
        self.ctx.lateral_a = [float(thermo.get_array(edge)[0]) for edge in ("lx", "ly")]
        task = reference_task(
            self.ctx.campaign, self.ctx.state, role="liquid", lateral_a=self.ctx.lateral_a, **self.where()
        )
        return ToContext(liquid=self.submit(LammpsMdWorkChain, **md_inputs(self, task)))

    def run_replicas(self):
        """Choose the bias and submit the two-phase runs; none when a reference is not its phase."""
        if not self.ctx.liquid.is_finished_ok:
            return self.exit_codes.ERROR_MD_FAILED.format(message=failure(self.ctx.liquid))
        self.ctx.n_replicas = 0
        self.ctx.references = {**run_nodes("solid", self.ctx.solid), **run_nodes("liquid", self.ctx.liquid)}
        bias = choose_bias(**self.ctx.references)
        if bias["rejections"]:
            return None
        tasks = pinned_tasks(
            self.ctx.campaign, self.ctx.state, lateral_a=self.ctx.lateral_a, bias=bias.get_dict(), **self.where()
        )
        self.ctx.n_replicas = len(tasks)
        self.report(f"{len(tasks)} replicas with κ = {bias['kappa_ev']:.3g} eV, a = {bias['anchor']:.2f}")
        return ToContext(
            **{f"replica_{i}": self.submit(LammpsMdWorkChain, **md_inputs(self, task)) for i, task in enumerate(tasks)}
        )

    def inspect_replicas(self):
        """Analyse the attempt: done, one more temperature, another attempt, or the end."""
        runs = [self.ctx[f"replica_{i}"] for i in range(self.ctx.n_replicas)]
        nodes = dict(self.ctx.references)
        for i, run in enumerate(runs):
            if not run.is_finished_ok:
                return self.exit_codes.ERROR_MD_FAILED.format(message=failure(run))
            nodes |= run_nodes(str(i), run)
        point = analyse_pinning(**nodes)
        self.ctx.points.append(point)
        self.ctx.attempt += 1
        accepted = sum(bool(one["accepted"]) for one in self.ctx.points)
        if point["accepted"]:
            self.report(f"T_t = {point['temperature_k']:.1f} ± {point['sigma_k']:.1f} K from {point['at_k']:.0f} K")
            limit_k = block_of(self.ctx.campaign, self.ctx.state)["max_distance"] * point["at_k"]
            near = abs(point["temperature_k"] - point["at_k"]) <= limit_k
            self.ctx.finished = near or accepted >= 2
        else:
            reasons = "; ".join(point["rejections"])
            self.report(f"rejected ({reasons}); next guess {point['next_guess_k']:.0f} K")
            if self.ctx.attempt >= self.MAX_ATTEMPTS and not accepted:
                return self.exit_codes.ERROR_NOT_PINNED.format(attempts=self.ctx.attempt, message=reasons)
        self.ctx.finished = self.ctx.finished or self.ctx.attempt >= self.MAX_ATTEMPTS
        self.ctx.temperature_k = point["next_guess_k"]
        return None

    def results(self):
        """Attach the anchor from all accepted temperatures, unless they contradict each other."""
        anchor = combine_pinning(**{f"point_{i}": point for i, point in enumerate(self.ctx.points)})
        if not anchor["accepted"]:
            return self.exit_codes.ERROR_NOT_PINNED.format(
                attempts=self.ctx.attempt, message="; ".join(anchor["rejections"])
            )
        self.out("anchor", anchor)
        return None

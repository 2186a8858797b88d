"""Absolute free energy of one phase at one state, and along the isobar from there."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, calcfunction, while_

from aiida_phasecal.advice import advice, passed_on
from aiida_phasecal.workchains.analysis import analyse_bulk_run, thermo_of
from aiida_phasecal.workchains.common import add_measurement_inputs, failure, md_inputs, task_as_run
from aiida_phasecal.workchains.md import RUN_LOST_ITS_PHASE, LammpsMdWorkChain
from aiida_phasecal.workchains.once import StepWorkChain
from phasecal.campaign.free_energy_tasks import cell_task, once_more, sweep_tasks, switching_tasks
from phasecal.freeenergy.absolute import cell_and_springs, free_energy_result
from phasecal.units import KB


@calcfunction
def measure_cell(sample, thermo, task):
    """Mean cell of a bulk run and, for a crystal, the springs of its Einstein crystal."""
    return orm.Dict(cell_and_springs(sample.get_sample(), thermo_of(thermo), task.get_dict()))


@calcfunction
def analyse_free_energy(model, campaign, cell, replaced, **nodes):
    """Gibbs energy from switching runs (`sample_switch_0`, …) and sweeps along the isobar (`sample_sweep_0`, …).

    `replaced` says why earlier runs in the place of some of them do not count.
    """
    limit_ev = campaign["protocol"]["free_energy"]["max_dissipation"] * KB * nodes["task_switch_0"]["temperature_k"]
    result = free_energy_result(
        runs_of(nodes, "switch"),
        runs_of(nodes, "sweep"),
        model.get_model().masses,
        n_effective=cell["n_effective"],
        max_dissipation_ev=limit_ev,
    )
    return orm.Dict({**result, "replaced": replaced.get_list(), "model_hash": model.model_hash})


def runs_of(nodes: dict, role: str) -> list[tuple]:
    """Sample, series and task of every run of a role, in order."""
    n_runs = sum(name.startswith(f"task_{role}_") for name in nodes)
    return [
        (
            nodes[f"sample_{role}_{i}"].get_sample(),
            thermo_of(nodes[f"thermo_{role}_{i}"]),
            nodes[f"task_{role}_{i}"].get_dict(),
        )
        for i in range(n_runs)
    ]


class FreeEnergyWorkChain(StepWorkChain):
    """G of a crystal (Frenkel–Ladd) or a liquid (Uhlenbeck–Ford) and, if asked for, G(T) by reversible scaling.

    A metastable phase is what has not transformed, so a run that lost its phase is done once more with another seed.
    The phase counts as lost when more than a third as many runs are lost as are wanted.
    """

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        add_measurement_inputs(spec)
        spec.input(
            "state",
            valid_type=orm.Dict,
            validator=validate_state,
            help="`phase`, `temperature_k`, `pressure_gpa`, `label`; `end_temperature_k` (K) for the isobar to there.",
        )
        spec.outline(
            cls.run_cell,
            cls.inspect_cell,
            cls.plan_paths,
            while_(cls.should_run_paths)(cls.run_paths, cls.inspect_paths),
            cls.results,
        )
        spec.output("properties", valid_type=orm.Dict, required=False, help="Averages of the bulk run (eV, Å³, K).")
        spec.output("cell", valid_type=orm.Dict, required=False, help="Edges (Å) and springs (eV/Å²).")
        spec.output(
            "free_energy",
            valid_type=orm.Dict,
            required=False,
            help="G ± σ and F (eV/atom), dissipation, phase checks, seeds; `curve`: G(T) with its covariance.",
        )
        spec.exit_code(401, "ERROR_MD_FAILED", message=passed_on("An MD run failed: {message}"))
        spec.exit_code(
            510,
            "ERROR_PHASE_LOST",
            message=advice(
                "The phase {phase} was lost: {message}",
                look="the outputs `properties` and `free_energy` in `verdi process show PK`.",
                next_step="keep the isobar where the phase lives: a better guess, or a smaller "
                "`protocol.free_energy.window`.",
            ),
        )
        spec.exit_code(
            520,
            "ERROR_DISSIPATION",
            message=advice(
                "Switched too fast: {message}",
                look="the output `free_energy` in `verdi process show PK`.",
                next_step="raise `switch_steps` in `protocol.free_energy`; the dissipation falls as 1/`switch_steps`.",
            ),
        )

    def run_cell(self):
        """Sample the phase at constant pressure."""
        self.ctx.campaign, self.ctx.state = self.inputs.campaign.get_dict(), self.inputs.state.get_dict()
        self.ctx.timestep_fs = self.inputs.model.get_model().timestep_fs
        task = cell_task(self.ctx.campaign, self.ctx.state, self.ctx.timestep_fs)
        return ToContext(bulk=self.submit(LammpsMdWorkChain, **md_inputs(self, task)))

    def inspect_cell(self):
        """Check the phase and fix the cell."""
        if self.ctx.bulk.exit_status == RUN_LOST_ITS_PHASE:
            return self.lost([failure(self.ctx.bulk)])
        if not self.ctx.bulk.is_finished_ok:
            return self.exit_codes.ERROR_MD_FAILED.format(message=failure(self.ctx.bulk))
        nodes = (self.ctx.bulk.outputs.sample, self.ctx.bulk.outputs.thermo, task_as_run(self.ctx.bulk))
        properties = analyse_bulk_run(*nodes)
        self.out("properties", properties)
        if not properties["accepted"]:
            return self.lost(properties["rejections"])
        self.ctx.cell = measure_cell(*nodes)
        self.out("cell", self.ctx.cell)
        return None

    def plan_paths(self) -> None:
        """Write down the tasks of all switching runs and sweeps."""
        switches = switching_tasks(self.ctx.campaign, self.ctx.state, self.ctx.cell.get_dict(), self.ctx.timestep_fs)
        sweeps = sweep_tasks(self.ctx.campaign, self.ctx.state, self.ctx.timestep_fs)
        self.ctx.tasks = {f"switch_{i}": task for i, task in enumerate(switches)}
        self.ctx.tasks |= {f"sweep_{i}": task for i, task in enumerate(sweeps)}
        self.ctx.waiting, self.ctx.replaced = list(self.ctx.tasks), []

    def should_run_paths(self) -> bool:
        """Say whether there are runs to do."""
        return bool(self.ctx.waiting)

    def run_paths(self):
        """Submit the switching runs and sweeps that are not done yet, at once."""
        runs = {name: md_inputs(self, self.ctx.tasks[name]) for name in self.ctx.waiting}
        return ToContext(**{name: self.submit(LammpsMdWorkChain, **inputs) for name, inputs in runs.items()})

    def inspect_paths(self):
        """Put the free energy together, or replace the runs that lost their phase."""
        nodes: dict[str, orm.Node] = {}
        for name in self.ctx.tasks:
            run = self.ctx[name]
            if not run.is_finished_ok:
                return self.exit_codes.ERROR_MD_FAILED.format(message=failure(run))
            nodes |= {
                f"sample_{name}": run.outputs.sample,
                f"thermo_{name}": run.outputs.thermo,
                f"task_{name}": task_as_run(run),
            }
        replaced = orm.List(self.ctx.replaced)
        result = analyse_free_energy(self.inputs.model, self.inputs.campaign, self.ctx.cell, replaced, **nodes)
        self.ctx.result = result
        self.ctx.waiting = [name for name in self.ctx.tasks if repeat_of(result, name)["rejections"]]
        if 3 * (len(self.ctx.replaced) + len(self.ctx.waiting)) > len(self.ctx.tasks):
            self.ctx.waiting = []
        for name in self.ctx.waiting:
            lost = repeat_of(result, name)
            self.ctx.replaced.append(f"seed {lost['seed']}: {'; '.join(lost['rejections'])}")
            self.report(f"{self.ctx.replaced[-1]}; once more with another seed")
            self.ctx.tasks[name] = once_more(self.ctx.tasks[name])

    def results(self):
        """Attach the free energy, and say why it must not be used."""
        result = self.ctx.result
        self.out("free_energy", result)
        if result["phase_lost"]:
            return self.lost(result["rejections"])
        if not result["accepted"]:
            return self.exit_codes.ERROR_DISSIPATION.format(message="; ".join(result["rejections"]))
        return None

    def lost(self, rejections: list[str]):
        """Return the exit code of a phase that did not survive."""
        return self.exit_codes.ERROR_PHASE_LOST.format(phase=self.ctx.state["phase"], message="; ".join(rejections))


def repeat_of(result, name: str) -> dict:
    """What a free energy says of one of its runs, `switch_0`, … or `sweep_0`, …."""
    role, _, i = name.partition("_")
    return result["repeats" if role == "switch" else "sweeps"][int(i)]


def validate_state(node: orm.Dict, _) -> str | None:
    """Return a sentence when a state lacks an entry or has one too many."""
    needed, keys = {"phase", "temperature_k", "pressure_gpa", "label"}, set(node.get_dict())
    wrong = sorted((needed - keys) | (keys - needed - {"end_temperature_k", "stage"}))
    return f"state: missing or unknown entries: {', '.join(wrong)}" if wrong else None

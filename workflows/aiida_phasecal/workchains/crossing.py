"""A boundary from absolute free energies: where the Gibbs energies of both phases cross along an isobar."""

from __future__ import annotations

from aiida import orm
from aiida.engine import ToContext, calcfunction, while_

from aiida_phasecal.advice import advice, passed_on
from aiida_phasecal.workchains.common import add_measurement_inputs, failure
from aiida_phasecal.workchains.free_energy import FreeEnergyWorkChain
from aiida_phasecal.workchains.once import StepWorkChain
from phasecal.errors import DataError, PhaseError
from phasecal.freeenergy.crossing import Curve, crossing, next_guess


@calcfunction
def find_crossing(state, low, high):
    """T_t from the isobars of both phases, in the form of an anchor; rejected, with the next guess, where they miss."""
    where = state.get_dict()
    low_curve, high_curve = Curve.from_dict(low["curve"]), Curve.from_dict(high["curve"])
    common = {
        "method": "free-energy",
        "phases": where["phases"],
        "pressure_gpa": where["pressure_gpa"],
        "seeds": [*low["seeds"], *high["seeds"]],
        "n_atoms": low["n_atoms"],
        "model_hash": low["model_hash"],
        "dissipation_ev": [low["dissipation_ev"], high["dissipation_ev"]],
    }
    try:
        found = crossing(low_curve, high_curve)
    except (DataError, PhaseError) as error:
        guess = next_guess(low_curve, high_curve, where["guess_k"])
        return orm.Dict({**common, "accepted": False, "rejections": [str(error)], "next_guess_k": guess})
    return orm.Dict(
        {
            **common,
            "temperature_k": found.temperature_k,
            "sigma_k": found.sigma_k,
            "delta_h_ev": found.delta_h_ev,
            "delta_h_ev_sigma": found.delta_h_ev_sigma,
            "accepted": True,
            "rejections": [],
            "next_guess_k": found.temperature_k,
        }
    )


class CrossingWorkChain(StepWorkChain):
    """T_t of any boundary at one pressure: absolute G of both phases, and isobars around the guess.

    The isobars reach from below the guess to above it by the protocol's window; when they do not cross there, both are
    measured again around where they should.
    """

    MAX_ATTEMPTS = 3

    @classmethod
    def define(cls, spec) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        add_measurement_inputs(spec)
        spec.input(
            "state",
            valid_type=orm.Dict,
            help="`phases` (low, high temperature), `pressure_gpa`, `guess_k`, `label`, and `stage`, for which "
            "protocols may have other numbers.",
        )
        spec.outline(cls.setup, while_(cls.should_run_attempt)(cls.run_phases, cls.inspect_phases), cls.results)
        spec.output("anchor", valid_type=orm.Dict, help="T ± σ (K), ΔH, dissipation, seeds, model hash.")
        spec.exit_code(401, "ERROR_PHASE_FAILED", message=passed_on("A free energy could not be measured: {message}"))
        spec.exit_code(
            510,
            "ERROR_NO_CROSSING",
            message=advice(
                "No crossing after {attempts} attempts: {message}",
                look="`verdi process report PK`: where the isobars were and how far apart.",
                next_step="give a guess nearer to the boundary, or a wider `protocol.free_energy.window`; a potential "
                "need not have this boundary at all.",
            ),
        )

    def setup(self) -> None:
        """Start at the guess."""
        self.ctx.campaign, self.ctx.state = self.inputs.campaign.get_dict(), self.inputs.state.get_dict()
        self.ctx.guess_k = self.ctx.state["guess_k"]
        self.ctx.attempt = 0
        self.ctx.anchor = None

    def should_run_attempt(self) -> bool:
        """Say whether there is no crossing yet."""
        return self.ctx.anchor is None

    def run_phases(self):
        """Submit both phases."""
        window = self.ctx.campaign["protocol"]["free_energy"]["window"]
        children = {}
        for role, phase in zip(("low", "high"), self.ctx.state["phases"], strict=True):
            state = {
                "phase": phase,
                "temperature_k": self.ctx.guess_k * (1 - window),
                "end_temperature_k": self.ctx.guess_k * (1 + window),
                "pressure_gpa": self.ctx.state["pressure_gpa"],
                "label": f"{self.ctx.state['label']}:{self.ctx.attempt}",
                "stage": self.ctx.state.get("stage"),
            }
            inputs = {name: self.inputs[name] for name in ("model", "code", "campaign", "options")}
            children[role] = self.submit(FreeEnergyWorkChain, state=orm.Dict(state), **inputs)
        self.report(f"isobars around {self.ctx.guess_k:.0f} K")
        self.ctx.attempt += 1
        return ToContext(**children)

    def inspect_phases(self):
        """Find the crossing, or where to look for it next."""
        for role in ("low", "high"):
            if not self.ctx[role].is_finished_ok:
                return self.exit_codes.ERROR_PHASE_FAILED.format(message=failure(self.ctx[role]))
        where = orm.Dict({**self.ctx.state, "guess_k": self.ctx.guess_k})
        found = find_crossing(where, self.ctx.low.outputs.free_energy, self.ctx.high.outputs.free_energy)
        if found["accepted"]:
            self.ctx.anchor = found
            self.report(f"free energies cross at {found['temperature_k']:.1f} ± {found['sigma_k']:.1f} K")
            return None
        reasons = "; ".join(found["rejections"])
        if self.ctx.attempt >= self.MAX_ATTEMPTS:
            return self.exit_codes.ERROR_NO_CROSSING.format(attempts=self.ctx.attempt, message=reasons)
        self.ctx.guess_k = found["next_guess_k"]
        self.report(f"{reasons}; next around {self.ctx.guess_k:.0f} K")
        return None

    def results(self) -> None:
        """Attach the anchor."""
        self.out("anchor", self.ctx.anchor)

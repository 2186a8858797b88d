"""Independent check of a model: every target measured again with fresh seeds and larger cells."""

from __future__ import annotations

from aiida_phasecal.advice import advice
from aiida_phasecal.workchains.points import BoundaryPointsWorkChain
from phasecal.calibration.targets import disagreements, targets_of
from phasecal.campaign.methods import how_verified


class VerifyWorkChain(BoundaryPointsWorkChain):
    """Measure every target of a campaign for one model, independently of anything that trained it."""

    STAGES = ("verification",)

    @classmethod
    def define(cls, spec) -> None:
        """Declare what a verification adds: the comparison with the targets."""
        super().define(spec)
        spec.outline(cls.run_transitions, cls.inspect_transitions, cls.compare)
        spec.exit_code(
            550,
            "ERROR_NOT_VERIFIED",
            message=advice(
                "The verified temperature is not that of the target: {message}",
                look="`phasecal show` of the campaign: result, interval and method.",
                next_step="a model that was never calibrated is expected to miss; after a calibration see whether both "
                "methods agree (`phasecal report`), and launch again with protocol balanced or stringent.",
            ),
        )

    def states(self) -> list[dict]:
        """The targets; a calibrated model is expected to coexist there."""
        targets = targets_of(self.inputs.campaign.get_dict())
        return [
            {
                "phases": target["phases"],
                "pressure_gpa": target["pressure_gpa"],
                "guess_k": target["temperature_k"],
                "method": target["verify"],
            }
            for target in targets
        ]

    def purpose(self) -> str:
        """Purpose of the runs: seeds that no training run has used."""
        return f"verification:{self.inputs.model.model_hash[:12]}"

    def run_transitions(self):
        """Say how every target is verified, and submit the transitions."""
        for target in targets_of(self.inputs.campaign.get_dict()):
            name, how = "–".join(target["phases"]), how_verified(target["verify"], target["method"])
            self.report(f"{name} at {target['pressure_gpa']:g} GPa: verification by {how}")
        return super().run_transitions()

    def compare(self):
        """Reject when a target is missed by more than the interval allows."""
        measured = [self.ctx[f"state_{i}"].outputs.transition.get_dict() for i in range(len(self.ctx.states))]
        wrong = disagreements(targets_of(self.inputs.campaign.get_dict()), measured)
        if wrong:
            return self.exit_codes.ERROR_NOT_VERIFIED.format(message="; ".join(wrong))
        return None

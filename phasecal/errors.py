"""The typed errors of phasecal.

Every failure that a user or a workflow can act on is one of these. The task runner writes ``kind`` and the
message to the result file, the AiiDA parser maps ``kind`` to the exit code ``status``, and the command line
prints the message as one sentence. Nothing in phasecal returns a guess instead of raising.
"""

from __future__ import annotations


class PhasecalError(Exception):
    """Base of all errors with a remedy; the message names what is wrong, where, and what to do."""

    kind = "error"
    status = 300


class InputError(PhasecalError):
    """What the user asked for cannot be done as written (a file, key or value is wrong)."""

    kind = "input"
    status = 210


class DataError(PhasecalError):
    """Data that phasecal produced or was handed is missing, truncated or inconsistent."""

    kind = "data"
    status = 310


class NumericError(DataError):
    """A computed number is not finite: a model that has no energy, force or derivative for some frame."""

    kind = "numeric"
    status = 321


class EngineError(PhasecalError):
    """The molecular-dynamics engine reported an error or blew up."""

    kind = "engine"
    status = 320


class PhaseError(PhasecalError):
    """A phase did not survive where it had to: melted, crystallised, interface gone, phases swapped."""

    kind = "phase"
    status = 510


class OverlapError(PhasecalError):
    """Two states share too few configurations for reweighting or free-energy estimation."""

    kind = "overlap"
    status = 520


class ConvergenceError(PhasecalError):
    """Not enough independent data, or an iteration that did not settle."""

    kind = "convergence"
    status = 530


ERRORS_BY_KIND: dict[str, type[PhasecalError]] = {
    cls.kind: cls
    for cls in (InputError, DataError, EngineError, NumericError, PhaseError, OverlapError, ConvergenceError)
}

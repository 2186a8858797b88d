"""What a report is made from: plain data, checked on entry.

The plugin fills :class:`ReportData` from the database; nothing here knows about AiiDA. Every field that a
failed or an unfinished campaign may lack has an empty default, so that a report shows what exists.

Two rules of the project are enforced here, before anything is drawn. A number that is not finite is missing.
An interval that is not positive is no interval (``sigma`` becomes ``None``), and a number without one is not
shown.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from phasecal.errors import DataError
from phasecal.report.properties import describe


def _finite_or_none(value: Any) -> Any:
    """``None`` in place of nan and infinities."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _positive_or_none(value: Any) -> Any:
    """``None`` in place of anything that cannot be a standard uncertainty."""
    value = _finite_or_none(value)
    return None if isinstance(value, int | float) and value <= 0 else value


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]
Sigma = Annotated[float | None, BeforeValidator(_positive_or_none)]
Series = list[Number]


class _Part(BaseModel):
    """A part of the data that may grow: unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class _Strict(BaseModel):
    """A part of the data whose keys are fixed: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Boundary(_Part):
    """One boundary at one pressure, as in ``phasecal show --json``; temperatures in K, pressure in GPa."""

    phases: tuple[str, str]
    pressure_gpa: float
    temperature_k: Number = None
    sigma_k: Sigma = None
    target_k: Number = None
    target_sigma_k: Sigma = None
    initial_k: Number = None
    initial_sigma_k: Sigma = None
    line_k: Number = None
    line_sigma_k: Sigma = None
    method: str | None = None
    anchor_method: str | None = None
    seeds: list[int] = []
    pk: int | None = None


class ModelReference(_Part):
    """A model version: database key, content hash and the hash of its parent."""

    pk: int | None = None
    hash: str
    parent: str | None = None


class Cost(_Part):
    """What the campaign cost: atom-steps of MD, wall time in s, rounds of calibration."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    atom_steps: Number = None
    wall_s: Number = None
    rounds: int | None = None


class Summary(_Part):
    """The object printed by ``phasecal show PK --json`` (docs/reference/show-json.md)."""

    task: str
    units: str | None = None
    state: str
    exit_code: int | None = None
    boundaries: list[Boundary] = []
    model: ModelReference | None = None
    cost: Cost | None = None


class RoundTarget(_Part):
    """One target in one round; energies in eV/atom, volumes in Å³/atom.

    ``temperature_k`` belongs to the model that was sampled, ``predicted_temperature_k`` to the next one.
    """

    phases: tuple[str, str]
    pressure_gpa: float
    target_k: float
    temperature_k: Number = None
    sigma_k: Sigma = None
    anchor_sigma_k: Sigma = None
    chain_sigma_k: Sigma = None
    anchor_pressures_gpa: list[float] = []
    anchor_chi2: Number = None
    anchor_dof: int | None = None
    predicted_temperature_k: Number = None


class RoundPhase(_Part):
    """How well one phase was reweighted in one round: N_eff as a fraction, sd(βΔU), least overlap.

    ``overlap_matrix`` has a row and a column for each of the states in ``joined``; records older than it have none.
    """

    phase: str
    pressure_gpa: float = 0.0
    n_eff: Number = None
    sd_beta_du: Number = None
    overlap: Number = None
    joined: list[str] = []
    overlap_matrix: list[list[Number]] = []


class Round(_Part):
    """One calibration step (its result.json) with the keys of its process and of the model it made.

    ``parent`` is the hash of the model that was sampled, ``model_hash`` that of the model the step made.
    """

    model_hash: str | None = None
    parent: str | None = None
    pk: int | None = None
    model_pk: int | None = None
    converged: bool | None = None
    targets: list[RoundTarget] = []
    phases: list[RoundPhase] = []


class Replica(_Part):
    """One interface run.

    Time series of temperature (K) and solid fraction (0 to 1) over time (ps), and the fractions between which the run
    counts; the standard error of the mean temperature (K) from blocks of a length (ps); the in-plane order along z
    (fraction of the box) in the first and the last frame.
    """

    pk: int | None = None
    seed: int | None = None
    time_ps: Series = []
    temperature_k: Series = []
    solid_fraction_time_ps: Series = []
    solid_fraction: Series = []
    solid_window: tuple[float, float] | None = None
    temperature_mean_k: Number = None
    temperature_sigma_k: Sigma = None
    block_ps: Series = []
    block_sigma_k: Series = []
    profile_z: Series = []
    profile_first: Series = []
    profile_last: Series = []


class Anchor(_Part):
    """One direct measurement of a transition temperature.

    ``phases`` and ``pressure_gpa`` may be absent if the campaign has one boundary at one pressure.
    """

    label: Literal["initial", "re-anchor", "verification"]
    model_hash: str
    pk: int | None = None
    temperature_k: Number = None
    sigma_k: Sigma = None
    seeds: list[int] = []
    replicas: list[Replica] = []
    phases: tuple[str, str] | None = None
    pressure_gpa: float | None = None


class Function(_Strict):
    """A tabulated function of the potential before and after.

    The abscissa is ``r`` in Å for pair functions (eV) and densities, ``rho`` (unit of the file) for embedding
    functions (eV). All lists have one length.
    """

    r: Series = []
    rho: Series = []
    initial: Series
    final: Series | None = None

    @property
    def abscissa(self) -> Series:
        """``r`` or ``rho``, whichever is given."""
        return self.r or self.rho

    @model_validator(mode="after")
    def _same_length(self) -> Function:
        lengths = {len(self.abscissa), len(self.initial)} | ({len(self.final)} if self.final is not None else set())
        if len(lengths) > 1:
            raise ValueError("abscissa (r or rho), initial and final must have one length")
        return self


class Functions(_Strict):
    """The functions of the potential, by element or pair of elements; or of the ``correction`` of a frozen one."""

    correction: bool = False
    pair: dict[str, Function] = {}
    density: dict[str, Function] = {}
    embedding: dict[str, Function] = {}


class Structure(_Strict):
    """Radial distribution function of a phase at the transition of the model before and after; r in Å."""

    phase: str
    pressure_gpa: float
    r: Series
    initial: Series
    final: Series | None = None
    initial_pk: int | None = None
    final_pk: int | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Structure:
        if {len(self.initial), len(self.final or self.initial)} != {len(self.r)}:
            raise ValueError("r, initial and final must have one length")
        return self


class OtherExperiment(_Strict):
    """What another experiment says about a boundary: K at a pressure in GPa, and who measured it."""

    phases: tuple[str, str]
    pressure_gpa: float
    temperature_k: float
    source: str


class Line(_Strict):
    """A boundary over pressure (GPa): temperature and interval (K), and where no third phase is more stable.

    ``label`` says whose it is: of the initial model, of the verified one, or of the only one that was measured.
    """

    label: Literal["initial", "verification", "measured"]
    phases: tuple[str, str]
    pressure_gpa: Series
    temperature_k: Series
    sigma_k: Series
    stable: list[bool]

    @model_validator(mode="after")
    def _same_length(self) -> Line:
        columns = (self.pressure_gpa, self.temperature_k, self.sigma_k, self.stable)
        if len({len(column) for column in columns}) != 1:
            raise ValueError("pressure_gpa, temperature_k, sigma_k and stable must have one length")
        return self


class Property(_Strict):
    """A property before and after. ``name`` and ``unit`` as in :mod:`phasecal.report.properties`.

    The keys are those of the nodes that hold the numbers.
    """

    name: str
    symbol: str = ""
    unit: str
    initial: Number = None
    initial_sigma: Sigma = None
    final: Number = None
    final_sigma: Sigma = None
    protected: bool = False
    initial_pk: int | None = None
    final_pk: int | None = None

    @model_validator(mode="after")
    def _known_unit(self) -> Property:
        known = describe(self.name)
        if known is not None and known.unit != self.unit:
            raise ValueError(f"{self.name} is reported in {known.unit}, got {self.unit!r}")
        return self


class Parameter(_Strict):
    """A parameter of the model, or the root mean square of a group of ``n`` of them, before and after."""

    name: str
    n: int = 1
    initial: Number
    final: Number
    change: Number


class Rejection(_Strict):
    """A run or a measurement that was not used, with the reasons."""

    what: str
    pk: int | None = None
    seed: int | None = None
    reasons: list[str]


class CostPart(_Strict):
    """What a part of the campaign cost: jobs of molecular dynamics, atom-steps, seconds of running jobs."""

    name: str
    jobs: int
    atom_steps: Number
    job_s: Number


class Version(_Strict):
    """One model version of the lineage; ``round`` 0 is the initial model."""

    pk: int | None = None
    hash: str
    parent: str | None = None
    round: int | None = None


class ReportData(_Strict):
    """Everything a report shows. See the module's and the classes' docstrings for units."""

    title: str
    pk: int
    uuid: str = ""
    created: str = ""
    campaign_file: str = ""
    elements: list[str] = []
    versions: dict[str, str] = {}
    summary: Summary
    rounds: list[Round] = []
    anchors: list[Anchor] = []
    functions: Functions = Field(default_factory=Functions)
    properties: list[Property] = []
    parameters: list[Parameter] = []
    structures: list[Structure] = []
    lines: list[Line] = []
    alternatives: list[OtherExperiment] = []
    lineage: list[Version] = []
    rejected: list[Rejection] = []
    cost: Cost | None = None
    cost_parts: list[CostPart] = []
    warnings: list[str] = []

    @property
    def element(self) -> str | None:
        """The element of a one-element campaign, else ``None`` (then no experimental values are known)."""
        named = set(self.elements) or {part for pair in self.functions.pair for part in pair.split("-")}
        return named.pop() if len(named) == 1 else None


def read_data(data: dict[str, Any]) -> ReportData:
    """Check the data of a report.

    Args:
        data: What :class:`ReportData` describes, as plain dicts, lists and numbers.

    Returns:
        The checked data.

    Raises:
        DataError: A key is missing, unknown or of the wrong type; all of them are listed.
    """
    try:
        return ReportData.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise DataError(f"the data of the report is not usable: {problems}") from error

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
    predicted_temperature_k: Number = None


class RoundPhase(_Part):
    """How well one phase was reweighted in one round: N_eff as a fraction, sd(βΔU), least overlap."""

    phase: str
    pressure_gpa: float = 0.0
    n_eff: Number = None
    sd_beta_du: Number = None
    overlap: Number = None


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
    """Time series of one interface run: ps, K, and the solid fraction between 0 and 1."""

    time_ps: Series = []
    temperature_k: Series = []
    solid_fraction_time_ps: Series = []
    solid_fraction: Series = []
    temperature_mean_k: Number = None
    temperature_sigma_k: Sigma = None


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
    """The functions of the potential, by element or pair of elements."""

    pair: dict[str, Function] = {}
    density: dict[str, Function] = {}
    embedding: dict[str, Function] = {}


class Property(_Strict):
    """A property before and after. ``name`` and ``unit`` as in :mod:`phasecal.report.properties`."""

    name: str
    symbol: str = ""
    unit: str
    initial: Number = None
    initial_sigma: Sigma = None
    final: Number = None
    final_sigma: Sigma = None
    protected: bool = False

    @model_validator(mode="after")
    def _known_unit(self) -> Property:
        known = describe(self.name)
        if known is not None and known.unit != self.unit:
            raise ValueError(f"{self.name} is reported in {known.unit}, got {self.unit!r}")
        return self


class Rdf(_Strict):
    """Radial distribution function of the liquid before and after; r in Å."""

    r: Series
    initial: Series
    final: Series | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Rdf:
        if {len(self.initial), len(self.final or self.initial)} != {len(self.r)}:
            raise ValueError("r, initial and final must have one length")
        return self


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
    rdf: Rdf | None = None
    lineage: list[Version] = []
    cost: Cost | None = None
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

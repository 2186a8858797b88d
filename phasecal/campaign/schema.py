"""The sections of a campaign file.

A campaign says what is calibrated (model, phases), to what (boundaries with their targets), what must not
move (protect) and how much may be computed (protocol, resources). Rules that involve several sections are
checked here as well, with the help of :class:`Context`, so that one pass finds everything that is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ase.data import chemical_symbols
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from phasecal.calibration.reference import read_reference
from phasecal.campaign.boundary import Boundary
from phasecal.campaign.context import Context, context_of
from phasecal.campaign.fields import Length, Name, Section, Temperature, Text, Title, fault, unique
from phasecal.campaign.frozen import FrozenBase
from phasecal.campaign.lj import PLACEHOLDER, LennardJones, lattice_parameter
from phasecal.campaign.message_passing import Mace, MessagePassing, Nequix
from phasecal.campaign.moment_network import MomentNetwork
from phasecal.campaign.protocols import NAMES, Protocol, merge, protocol_numbers
from phasecal.campaign.sources import resolve_path
from phasecal.errors import InputError
from phasecal.structures.crystals import PROTOTYPES, crystal


class Train(Section):
    """Numbers of trainable smooth corrections, per table of the potential."""

    pair: int = Field(0, ge=0, le=64, description="a number of corrections of φ(r), 0 to 64")
    density: int = Field(0, ge=0, le=64, description="a number of corrections of ρ(r), 0 to 64")
    embedding: int = Field(0, ge=0, le=64, description="a number of corrections of F(ρ), 0 to 64")


class Model(Section):
    """The interatomic potential."""

    family: Literal["eam"] = Field(description="one of eam, lj, lammps, mace, moment-network, nequix")
    source: Text = Field(description="a path relative to the campaign file, or lammps://NAME")
    train: Train | None = Field(
        None,
        validate_default=True,
        description="a mapping with pair, density and embedding, such as {pair: 12}",
    )
    cutoff: Length | None = Field(
        None,
        description="a length to which the potential is trimmed, such as 6 A",
    )

    @field_validator("source")
    @classmethod
    def _usable(cls, value: str, info: ValidationInfo) -> str:
        """The file must exist and be a potential."""
        source = context_of(info).source
        if isinstance(source, InputError):
            wrong, _, expected = str(source).partition("; expected ")
            raise fault(wrong, expected or "an eam/alloy or eam/fs file")
        return value

    @field_validator("train")
    @classmethod
    def _something_to_train(cls, value: Train | None, info: ValidationInfo) -> Train | None:
        """A calibration needs parameters."""
        if context_of(info).task == "calibrate":
            if value is None:
                raise fault("missing key")
            if value.pair + value.density + value.embedding == 0:
                raise fault("nothing to train", "at least one correction, such as {pair: 12}")
        return value

    @field_validator("cutoff")
    @classmethod
    def _trimmed_to_sense(cls, value: float | None, info: ValidationInfo) -> float | None:
        """A potential is trimmed where it is longer, but not to less than the nearest neighbours."""
        source, neighbors = context_of(info).source, context_of(info).neighbor_distance_a()
        if value is not None and value < 1.2 * neighbors:
            raise fault("hardly reaches the nearest neighbours", f"at least {1.2 * neighbors:.2f} A")
        trims = value is not None and isinstance(source, tuple) and value < source[1].cutoff
        return value if trims else None


class Phase(Section):
    """A crystal (prototype, elements, lattice parameters), or the melt of one."""

    prototype: Literal[PROTOTYPES] | None = Field(  # type: ignore[valid-type]  # a tuple of names
        None, description=f"one of {', '.join(PROTOTYPES)}"
    )
    elements: list[str] | None = Field(None, description="a list of chemical symbols, such as [Cu]")
    a: Length | None = Field(None, description="a lattice parameter above 0.5 A, such as 3.615 A")
    c: Length | None = Field(None, description="a lattice parameter above 0.5 A, such as 4.68 A")
    density: float | None = Field(
        None, gt=0.01, lt=10, description="with units: lj, a number density in reduced units, such as 0.95"
    )
    melt: str | None = Field(None, description="the name of the crystal that is molten, such as fcc")

    @field_validator("elements")
    @classmethod
    def _known_elements(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        """Every element exists, and the potential describes it."""
        context = context_of(info)
        source = context.source
        if context.family == "lj" and value and len(set(value)) > 1:
            raise fault(f"{len(set(value))} elements", "one, because lj describes one kind of atom")
        for element in value or []:
            if element not in chemical_symbols[1:] and not (element == PLACEHOLDER and context.units == "lj"):
                raise fault(f"{element!r} is not a chemical symbol")
            if isinstance(source, tuple) and element not in source[1].elements:
                raise fault(f"{element} is not in {source[0].name}", f"elements among {', '.join(source[1].elements)}")
        return value

    @field_validator("melt")
    @classmethod
    def _melts_a_crystal(cls, value: str | None, info: ValidationInfo) -> str | None:
        """What is molten is a crystal of the campaign."""
        context = context_of(info)
        if value is not None and (value not in context.phases or context.is_melt(value)):
            crystals = [name for name in context.phases if not context.is_melt(name)]
            raise fault("not a crystal of this campaign", f"one of {', '.join(crystals)}" if crystals else None)
        return value

    @field_validator("density")
    @classmethod
    def _only_in_reduced_units(cls, value: float | None, info: ValidationInfo) -> float | None:
        """Densities are those of reduced units."""
        if value is not None and context_of(info).units != "lj":
            raise fault("a density without units: lj", "the lattice parameter a with its unit")
        return value

    @model_validator(mode="after")
    def _crystal_or_melt(self) -> Phase:
        """A phase is one of the two, and a crystal can be built."""
        given = [key for key in ("prototype", "elements", "a", "c", "density") if getattr(self, key) is not None]
        if self.melt is not None:
            if given:
                raise fault(f"has melt and {given[0]}", "either melt: PHASE, or prototype, elements and a")
            return self
        if self.density is not None and {"a", "c"} & set(given):
            raise fault("has density and a lattice parameter", "either density, or a (and c)")
        size = "density" if self.density is not None else "a"
        if missing := [key for key in ("prototype", "elements", size) if key not in given]:
            raise fault(f"missing {', '.join(missing)}", "either melt: PHASE, or prototype, elements and a")
        try:
            crystal(self.structure())
        except InputError as error:
            raise fault(str(error).removeprefix("structure: ").partition(", got ")[0]) from None
        return self

    def structure(self) -> dict[str, Any]:
        """Return the phase as :func:`phasecal.structures.crystals.crystal` takes it; a melt as it is written."""
        data = self.model_dump(exclude_none=True)
        density = data.pop("density", None)
        return data if density is None else {**data, "a": lattice_parameter(data, density)}


class Resources(Section):
    """Where jobs run."""

    computer: Name = Field("localhost", description="the label of an AiiDA computer, such as localhost")
    slots: int = Field(1, ge=1, le=10000, description="a number of jobs that may run at once, at least 1")


def _family_mark(value: Any) -> str:
    """Mark of the section that describes a model; what is not understood is judged as an EAM, the default."""
    family = value.get("family") if isinstance(value, dict) else getattr(value, "family", None)
    return f"[{family}]" if family in ("lj", "lammps", "mace", "moment-network", "nequix") else "[eam]"


class Campaign(Section):
    """A whole campaign; :meth:`to_dict` is what workflows consume."""

    version: int = Field(alias="schema", ge=1, le=1, description="1, the version of this format")
    title: Title = Field(description="a short title, such as copper")
    units: Literal["lj"] | None = Field(None, description="lj, when all values are in reduced units; else no such key")
    model: Annotated[
        Annotated[Model, Tag("[eam]")]
        | Annotated[FrozenBase, Tag("[lammps]")]
        | Annotated[LennardJones, Tag("[lj]")]
        | Annotated[Mace, Tag("[mace]")]
        | Annotated[MomentNetwork, Tag("[moment-network]")]
        | Annotated[Nequix, Tag("[nequix]")],
        Discriminator(_family_mark),
    ] = Field(description="a mapping with family, source and train")
    phases: dict[Name, Phase] = Field(min_length=1, description="a mapping from names to phases")
    boundaries: list[Boundary] = Field(min_length=1, description="a list of boundaries, each a mapping")
    protect: Annotated[list[str], AfterValidator(unique)] | None = Field(
        None, description="a list of phases and prototypes, such as [fcc, bcc, hcp]"
    )
    reference: Text | None = Field(
        None, description="a path to an extxyz file of labelled frames, such as those the potential was fitted to"
    )
    tolerance: Temperature = Field(
        2.0, serialization_alias="tolerance_k", description="a temperature above 0 K, such as 2 K"
    )
    engine: Literal["lammps", "jax-md"] = Field(
        "lammps", description="lammps or jax-md, which then samples the bulk states; all other runs are LAMMPS's"
    )
    step: Literal["gauss-newton", "adam"] = Field("gauss-newton", description="gauss-newton or adam")
    seed: int = Field(1, ge=1, le=899_999_999, description="a whole number from 1 to 899999999")
    protocol: Protocol = Field(description=f"{', '.join(NAMES)}, or a mapping with name and changed numbers")
    resources: Resources = Field(Resources(), description="a mapping with computer and slots")
    _source_path: Path | None = PrivateAttr()
    _folder: Path = PrivateAttr()

    @field_validator("units")
    @classmethod
    def _reduced_units_of_lj(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Reduced units are those of a Lennard-Jones potential."""
        if value == "lj" and context_of(info).family != "lj":
            raise fault("units: lj without family: lj", "units: lj only with a model of family lj")
        return value

    @field_validator("boundaries")
    @classmethod
    def _each_boundary_once(cls, value: list[Boundary]) -> list[Boundary]:
        """Two entries for the same phases would be measured twice."""
        unique(["–".join(boundary.phases) for boundary in value])
        return value

    @field_validator("protect")
    @classmethod
    def _cold_structures(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        """Protected structures are crystals of the campaign, or prototypes of the first one's elements."""
        context = context_of(info)
        for name in value or []:
            if context.is_melt(name):
                raise fault(f"{name} is a melt", "crystals, or prototypes that compete with them")
            if name not in context.phases and name not in PROTOTYPES:
                known = dict.fromkeys([phase for phase in context.phases if not context.is_melt(phase)])
                raise fault(f"unknown structure {name!r}", f"names among {', '.join([*known, *PROTOTYPES])}")
            if name not in context.phases:
                _check_competitor(name, context)
        return value

    @field_validator("reference")
    @classmethod
    def _labelled_frames(cls, value: str | None, info: ValidationInfo) -> str | None:
        """The file holds labelled frames of the elements of the campaign."""
        context = context_of(info)
        if value is not None:
            try:
                read_reference(resolve_path(value, context.folder), context.elements())
            except InputError as error:
                wrong, _, expected = str(error).partition("; expected ")
                raise fault(wrong, expected or None) from None
        return value

    @field_validator("engine")
    @classmethod
    def _has_all_energies(cls, value: str, info: ValidationInfo) -> str:
        """A frozen base has no energies in JAX."""
        if value == "jax-md" and context_of(info).family == "lammps":
            raise fault("only LAMMPS computes a model of family lammps", "engine: lammps, or no such key")
        return value

    @field_validator("protocol", mode="before")
    @classmethod
    def _fill_protocol(cls, value: Any) -> Any:
        """Complete a name, or a name with changed numbers, to all numbers."""
        changes = {"name": value} if isinstance(value, str) else value
        if not isinstance(changes, dict):
            raise fault("wrong kind of value")
        if changes.get("name") not in NAMES:
            raise fault("unknown protocol" if "name" in changes else "missing name")
        return merge(protocol_numbers(changes["name"]), changes)

    def model_post_init(self, context: Any) -> None:
        """Remember the potential file, and where files are looked for."""
        assert isinstance(context, Context)
        self._folder = context.folder
        self._source_path = context.source[0] if isinstance(context.source, tuple) else None

    @property
    def source_path(self) -> Path | None:
        """The potential file, resolved; None when the model is its parameters."""
        return self._source_path

    @property
    def source_name(self) -> str:
        """What the potential is called: the name of its file, or of its family."""
        if isinstance(self.model, FrozenBase):
            return self.model.commands[0].removeprefix("pair_style").strip()
        if isinstance(self.model, MomentNetwork | MessagePassing):
            return Path(self.model.source).name
        return self._source_path.name if self._source_path else self.model.family

    @property
    def reference_path(self) -> Path | None:
        """The file of labelled frames, resolved, if there is one."""
        return None if self.reference is None else resolve_path(self.reference, self.folder)

    @property
    def folder(self) -> Path:
        """Folder of the campaign file."""
        return self._folder

    @property
    def elements(self) -> list[str]:
        """Elements of all phases, in the order in which they appear."""
        return list(dict.fromkeys(element for phase in self.phases.values() for element in phase.elements or []))

    def to_dict(self) -> dict[str, Any]:
        """Return the campaign with all defaults as JSON-able data in internal units, also with ``units: lj``.

        Keys are those of the file, with the unit appended where there is one (``tolerance_k``, ``guess_k``,
        ``pressures_gpa``); lengths are plain Å. ``protocol`` holds all numbers; ``protect`` is a list of
        mappings with ``name``, ``kind`` (``phase`` or ``competitor``) and ``structure``. No path of the
        machine is in it, except one that the user wrote.
        """
        data = self.model_dump(by_alias=True)
        data["schema"] = data.pop("version", 1)
        data["phases"] = {name: phase.structure() for name, phase in self.phases.items()}
        crystals = {name: phase for name, phase in data["phases"].items() if "melt" not in phase}
        # the two parameters of Lennard-Jones cannot keep cold properties and meet a target
        default = [] if self.model.family == "lj" else list(crystals)
        names = default if self.protect is None else self.protect
        reference = next(iter(crystals.values()))
        data["protect"] = [
            {"name": name, "kind": "phase", "structure": crystals[name]}
            if name in crystals
            else {"name": name, "kind": "competitor", "structure": competitor(name, reference)}
            for name in names
        ]
        return data


def _check_competitor(name: str, context: Context) -> None:
    """Reject a prototype that cannot hold the elements of the first crystal."""
    reference = context.structure(context.first_crystal() or "")
    elements = reference.get("elements")
    if isinstance(elements, list) and elements:
        try:
            crystal({"prototype": name, "elements": elements, "a": 4.0})
        except InputError as error:
            wrong = str(error).removeprefix("structure: ").partition(", got ")[0]
            raise fault(wrong, f"prototypes for {', '.join(map(str, elements))}") from None


def competitor(prototype: str, reference: dict[str, Any]) -> dict[str, Any]:
    """Return a prototype with the elements and the volume per atom of a reference crystal.

    Args:
        prototype: One of :data:`phasecal.structures.crystals.PROTOTYPES`.
        reference: A crystal as :func:`phasecal.structures.crystals.crystal` takes it.
    """
    atoms = crystal(reference)
    trial = {"prototype": prototype, "elements": reference["elements"], "a": 4.0}
    trial_atoms = crystal(trial)
    ratio = (atoms.cell.volume / len(atoms)) / (trial_atoms.cell.volume / len(trial_atoms))
    return {**trial, "a": float(4.0 * ratio ** (1 / 3))}

"""Points of phase boundaries with their intervals, as a node."""

from __future__ import annotations

from collections.abc import Sequence

from aiida import orm

POINT_KEYS = ("phases", "pressure_gpa", "temperature_k", "sigma_k", "method", "seeds", "pk")


class PhaseDiagramData(orm.Data):
    """Boundary points of one model: per point the pair of phases, pressure, T ± σ, method, seeds and origin.

    Attributes: ``model_hash``, ``elements``, ``points`` (dictionaries in the form of ``phasecal show --json``) and
    ``lines``, where a boundary was measured or followed over pressures: see
    :func:`phasecal.freeenergy.diagram.assemble`.
    """

    def __init__(
        self, *, points: list[dict], model_hash: str, elements: list[str], lines: dict | None = None, **kwargs
    ) -> None:
        """Make an unstored node.

        Raises:
            ValueError: A point lacks a key or has no interval.
        """
        super().__init__(**kwargs)
        for point in points:
            missing = [key for key in POINT_KEYS if key not in point]
            if missing:
                raise ValueError(f"boundary point {point.get('phases')} lacks {', '.join(missing)}")
            if not point["sigma_k"] > 0:
                raise ValueError(f"boundary point {point['phases']}: sigma_k must be > 0, got {point['sigma_k']}")
        self.base.attributes.set_many(
            {"points": points, "model_hash": model_hash, "elements": elements, "lines": lines}
        )

    @property
    def points(self) -> list[dict]:
        """The boundary points; `pk` of each is that of its node in this database.

        What is stored is the PK where it was measured, which does not hold after an import into another database.
        """
        points = self.base.attributes.get("points")
        if self.creator is None:
            return points
        measured = [node for node in self.creator.base.links.get_incoming().all_nodes() if isinstance(node, orm.Dict)]
        origins = {(tuple(node["phases"]), node["pressure_gpa"]): node.pk for node in measured}
        places = [(tuple(point["phases"]), point["pressure_gpa"]) for point in points]
        return [{**point, "pk": origins.get(place, point["pk"])} for point, place in zip(points, places, strict=True)]

    @property
    def lines(self) -> dict | None:
        """Lines, triple points and consistency checks; None where only points were measured."""
        return self.base.attributes.get("lines")

    def on_line(self, phases: Sequence[str], pressure_gpa: float) -> tuple[float, float] | None:
        """T, K, and its standard error on the line of a boundary; None where no line has a knot at this pressure."""
        for boundary in self.lines["boundaries"] if self.lines else []:
            line = boundary["line"]
            if boundary["phases"] == list(phases) and pressure_gpa in line["pressure_gpa"]:
                i = line["pressure_gpa"].index(pressure_gpa)
                return line["temperature_k"][i], line["sigma_k"][i]
        return None

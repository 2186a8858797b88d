"""What an artifact holds for models that the LAMMPS plugin computes by itself, without JAX.

The plugin has the formula of a moment-network in C++ (``engines/lammps/plugin/moment_network.h``), five times faster
than through JAX (docs/adr/0043), and the artifact its arrays beside the module. Which formula they belong to is said in
the record; a plugin that does not know it runs the module.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

MOMENT_NETWORK = "moment-network 2"
"""Family and revision of the formula that the plugin has."""
REALS = ("theta", "radial", "mean", "scale", "references", "inner")
MAX_BASIS = 32
MAX_WIDTH = 4096
"""Most neurons of a layer."""


def check_native(arrays: Arrays, n_elements: int) -> None:
    """Check shapes and kinds, which C++ takes for granted.

    Args:
        arrays: As of :class:`~phasecal.potentials.moment_network.MomentNetworkModel`: ``theta``, ``radial``
            (n_elements, n_radial, n_basis), ``mean`` and ``scale`` (n_elements, n_invariants), ``references``
            (n_elements,), ``inner`` (n_elements, n_elements), ``guard`` (1,), all float64; ``hidden``
            (n_layers,), int32.
        n_elements: Elements of the model.

    Raises:
        ValueError: They are others.
    """
    _, n_radial, n_basis = arrays["radial"].shape
    hidden = [int(width) for width in arrays["hidden"]]
    if not (0 < n_radial and 2 <= n_basis <= MAX_BASIS and all(0 < width <= MAX_WIDTH for width in hidden) and hidden):
        raise ValueError(f"a network of {n_radial} radial functions of {n_basis} and layers of {hidden} neurons")
    n_invariants = n_radial + 2 * n_radial * (n_radial + 1)
    n_weights = sum((n_in + 1) * n_out for n_in, n_out in pairwise((n_invariants, *hidden))) + hidden[-1]
    shapes = {
        "theta": (n_elements * n_weights,),
        "radial": (n_elements, n_radial, n_basis),
        "mean": (n_elements, n_invariants),
        "scale": (n_elements, n_invariants),
        "references": (n_elements,),
        "inner": (n_elements, n_elements),
        "guard": (1,),
    }
    kinds = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    expected = {name: ("float64", shape) for name, shape in shapes.items()}
    if kinds != {**expected, "hidden": ("int32", (len(hidden),))}:
        raise ValueError("native arrays of other shapes and kinds")


def native_arguments(arrays: Arrays) -> tuple[Any, ...]:
    """Return what the plugin reads: sizes, guard, widths of layers, and the arrays in the order of :data:`REALS`."""
    sizes = arrays["radial"].shape
    reals = (np.ascontiguousarray(arrays[name]) for name in REALS)
    return (*sizes, float(arrays["guard"][0]), np.ascontiguousarray(arrays["hidden"]), *reals)

"""Rotation invariants of the moments of an atom's neighbourhood.

Moments of rank l = 0 … 3 of the neighbours j of atom i, with radial functions f_n of the neighbour's element s_j,

    M⁽ˡ⁾_n = Σ_j f_n(r_ij; s_j) r̂_ij ⊗ … ⊗ r̂_ij    (l unit vectors)

(moment tensors: Shapeev, Multiscale Model. Simul. 14, 1153 (2016), eq. 2.3; here contracted among themselves only).
Invariants are M⁽⁰⁾_n and the full contractions, for n ≤ m,

    M⁽ˡ⁾_n · M⁽ˡ⁾_m = Σ_jk f_n(r_ij) f_m(r_ik) cosˡ θ_jik,    l = 0 … 3.

Because unit vectors are used, M⁽⁰⁾ is the trace of M⁽²⁾ and M⁽¹⁾ that of M⁽³⁾: 16 monomials per neighbour give all
ranks.

Radial functions are linear in Chebyshev polynomials T_k(2r/r_c − 1) times (1 − r/r_c)³, which is C² at the cutoff.
Their interval begins at r = 0, where no atom comes: at its end T_k has the slope k², and an interval that began at the
shortest distances gave colliding atoms invariants that changed by hundreds of standard deviations per Å.
Below the shortest distance of the training data, r_in, the distance is clamped smoothly (C², constant below 0.9 r_in);
there the guard (:func:`repulsion`) takes over.

Known limit: three-body invariants only, so that some neighbourhoods differ without being told apart (Pozdnyakov et al.,
PRL 125, 166001 (2020)).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

CLAMP = 0.9
"""Below this fraction of the shortest sampled distance an atom looks no closer."""
_RANK_2 = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_RANK_3 = ((0, 0), (1, 1), (2, 2), (0, 3), (0, 4), (1, 3), (1, 5), (2, 4), (2, 5), (0, 5))
"""Monomials of rank 3 as (axis, monomial of rank 2): xxx yyy zzz xxy xxz xyy yyz xzz yzz xyz."""
_TRACE_3 = ((0, 5, 7), (1, 3, 8), (2, 4, 6))
"""Which monomials of rank 3 sum to x, y and z."""
_MULTIPLICITY_2 = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
_MULTIPLICITY_3 = (1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 6.0)
"""How often each monomial occurs in the full contraction of two symmetric tensors."""


def n_invariants(n_radial: int) -> int:
    """Return how many invariants ``n_radial`` radial functions give."""
    return n_radial + 4 * (n_radial * (n_radial + 1) // 2)


def split(vectors: Array, cutoff: float) -> tuple[tuple[Array, Array, Array], Array, Array]:
    """Return the components of unit vectors, distances, and which neighbours are inside; others are put at the cutoff.

    All have the shape (n_atoms, width): loops over components inside loops over neighbours cost twice the time.

    Args:
        vectors: To the neighbours, Å, shape (n_atoms, width, 3).
        cutoff: Å.
    """
    x, y, z = jnp.moveaxis(vectors, -1, 0)
    inside = x * x + y * y + z * z < cutoff * cutoff
    x, y, z = jnp.where(inside, x, cutoff), jnp.where(inside, y, 0.0), jnp.where(inside, z, 0.0)
    distance = jnp.sqrt(x * x + y * y + z * z)
    return (x / distance, y / distance, z / distance), distance, inside


def radial_basis(distance: Array, inside: Array, inner: Array, cutoff: float, count: int) -> Array:
    """Return Chebyshev polynomials of the clamped distance times the cutoff function.

    Args:
        distance: Å, shape (n_atoms, width).
        inside: Whether a neighbour is inside the cutoff, same shape.
        inner: Shortest sampled distance of each pair, Å, same shape or ().
        cutoff: Å.
        count: Number of functions, at least 2.

    Returns:
        Shape (n_atoms, width, count).
    """
    lower, width = CLAMP * inner, (1.0 - CLAMP) * inner
    t = (distance - lower) / width
    u = jnp.clip(t, 0.0, 1.0)
    # quintic with no slope at 0, slope 1 at 1, and no curvature at either end
    clamped = lower + width * (u * u * u * (6.0 - 8.0 * u + 3.0 * u * u) + jnp.maximum(t - 1.0, 0.0))
    x = 2.0 * clamped / cutoff - 1.0
    polynomials = [jnp.ones_like(x), x]
    for _ in range(count - 2):
        polynomials.append(2.0 * x * polynomials[-1] - polynomials[-2])
    q = jnp.where(inside, 1.0 - distance / cutoff, 0.0)
    envelope = 8.0 * q * q * q
    return jnp.stack([polynomial * envelope for polynomial in polynomials], axis=-1)


def moments(unit: tuple[Array, Array, Array], basis: Array) -> Array:
    """Return the moments of ranks 2 and 3 as independent components, shape (n_atoms, count, 16).

    Args:
        unit: Components of unit vectors, shape (n_atoms, width) each.
        basis: Functions of the distance, shape (n_atoms, width, count).
    """
    second = [unit[a] * unit[b] for a, b in _RANK_2]
    third = [unit[a] * second[b] for a, b in _RANK_3]
    return jnp.einsum("ikn,ikm->inm", basis, jnp.stack([*second, *third], axis=-1))


def invariants(components: Array) -> Array:
    """Return the invariants of moments, shape (n_atoms, n_invariants).

    Args:
        components: As :func:`moments` returns them.
    """
    # atoms last: few components as the inner loop would cost a quarter of the time of a whole model
    second, third = jnp.split(jnp.moveaxis(components, 0, -1), [6], axis=1)
    zeroth = second[:, 0] + second[:, 1] + second[:, 2]
    first = jnp.stack([sum(third[:, k] for k in parts) for parts in _TRACE_3], axis=1)
    n, m = np.triu_indices(components.shape[1])
    found = [zeroth]
    for tensor, multiplicity in (
        (zeroth[:, None], (1.0,)),
        (first, (1.0,) * 3),
        (second, _MULTIPLICITY_2),
        (third, _MULTIPLICITY_3),
    ):
        weighted = tensor * jnp.asarray(multiplicity, dtype=tensor.dtype)[:, None]
        found.append(jnp.sum(weighted[n] * tensor[m], axis=1))
    return jnp.concatenate(found).T


def repulsion(distance: Array, inside: Array, inner: Array, strength: float) -> Array:
    """Return the guard's energy of each atom, eV, shape (n_atoms,).

    ½ Σ_j κ u³/(1 − u) with u = 1 − r/r_in for r < r_in, else nothing: C² at r_in, and κ r_in/r towards r = 0. At
    0.8 r_in it is κ/100 a pair: 3 eV for κ = 300 eV, and 75 eV at half of r_in. Where there are no data, a network
    knows nothing; this keeps atoms from coming there.

    Args:
        distance: Å, shape (n_atoms, width).
        inside: Whether a neighbour is inside the cutoff, same shape.
        inner: Shortest sampled distance of each pair, Å, same shape or ().
        strength: κ, eV.
    """
    u = jnp.where(inside, jnp.maximum(1.0 - distance / inner, 0.0), 0.0)
    return 0.5 * strength * jnp.sum(u * u * u * inner / distance, axis=-1)

"""An exactly solvable model with two phases, for tests of everything between frames and a calibrated model.

U = N w(x) + c(x) Σ cos(2π s), with x = ln(V/N) and the fractional coordinates s of all atoms;
w(x) = double well + Σ θ_j b_j(x), c(x) = c₀ + γ Σ θ_j b_j(x), b_j Gaussians. The coordinates are von Mises
distributed given V, so G of each phase is an integral over V alone, and samples can be drawn exactly. ``fcc`` is
the dense well, ``liquid`` the wide one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq
from scipy.special import i0e, logsumexp, ndtr

from phasecal.potentials.base import Model
from phasecal.sample import Sample
from phasecal.units import EV_PER_A3_IN_GPA, KB

WELLS = {"fcc": (np.log(12.0), 0.0, 2.5), "liquid": (np.log(38.0), 0.135, 1.5)}
"""Position in x, energy in eV and stiffness in eV of each well."""
BARRIER, SOFTNESS = np.log(22.0), 0.05
FIELD = 0.05
COUPLING = 0.3
CENTRES = np.linspace(np.log(9.0), np.log(50.0), 9)
WIDTH = 0.3


def wells(x, xp):
    """The double well without corrections, eV/atom."""
    (xs, es, ks), (xl, el, kl) = WELLS["fcc"], WELLS["liquid"]
    switch = 0.5 * (1 + xp.tanh((x - BARRIER) / SOFTNESS))
    return (1 - switch) * (es + ks * (x - xs) ** 2 / 2) + switch * (el + kl * (x - xl) ** 2 / 2)


def basis(x, xp):
    """The functions b_j(x), shape (..., n_parameters)."""
    return xp.exp(-((x[..., None] - CENTRES) ** 2) / (2 * WIDTH**2))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ToyEnergy:
    """The energy as a pytree; ``offset`` is added per atom and changes nothing physical."""

    offset: jax.Array

    def __call__(self, theta, positions, cell, species, neighbors, shifts):
        n_atoms = positions.shape[0]
        volume = jnp.abs(jnp.dot(cell[0], jnp.cross(cell[1], cell[2])))
        x = jnp.log(volume / n_atoms)
        correction = basis(x, jnp) @ theta
        fractional = positions @ jnp.linalg.inv(cell)
        field = FIELD + COUPLING * correction
        bulk = n_atoms * (wells(x, jnp) + correction + self.offset)
        return bulk + field * jnp.cos(2 * jnp.pi * fractional).sum()


@dataclass(frozen=True, eq=False, kw_only=True)
class ToyModel(Model):
    """The family ``toy``."""

    family = "toy"
    offset: float = 0.0

    @property
    def parameter_names(self):
        return tuple(f"bump[{j}]" for j in range(len(CENTRES)))

    @property
    def config(self):
        return {"elements": list(self.elements)}

    def arrays(self):
        return {"theta": self.theta, "offset": np.array(self.offset)}

    @classmethod
    def from_arrays(cls, config, arrays, parent=None):
        return make_model(arrays["theta"], float(arrays["offset"]), parent)

    @cached_property
    def energy_function(self):
        return ToyEnergy(jnp.array(self.offset))

    def export_lammps(self, folder):
        raise NotImplementedError


def make_model(theta=None, offset=0.0, parent=None):
    """Return a toy model; all parameters are 0 unless given."""
    theta = np.zeros(len(CENTRES)) if theta is None else theta
    masses = {"Cu": 63.5}
    return ToyModel(elements=("Cu",), cutoff=3.0, masses=masses, theta=theta, parent=parent, offset=offset)


class Exact:
    """Free energies, boundaries and samples of the toy, by quadrature over x = ln(V/N)."""

    def __init__(self, theta, n_atoms=108, pressure_gpa=0.0):
        self.theta, self.n_atoms, self.pressure_gpa = np.asarray(theta), n_atoms, pressure_gpa
        self.grids = {
            "fcc": np.linspace(np.log(8.0), BARRIER, 20001),
            "liquid": np.linspace(BARRIER, np.log(80.0), 20001),
        }

    def log_density(self, phase, t):
        """Logarithm of the density of x on the grid of a phase, not normalised."""
        x, kT, n = self.grids[phase], KB * t, self.n_atoms
        correction = basis(x, np) @ self.theta
        kappa = np.abs(FIELD + COUPLING * correction) / kT
        log_field = 3 * n * (np.log(i0e(kappa)) + kappa)
        work = self.pressure_gpa / EV_PER_A3_IN_GPA * np.exp(x)
        return (n + 1) * x + log_field - n * (wells(x, np) + correction + work) / kT

    def free_energy(self, phase, t):
        """G of a phase, eV/atom."""
        x = self.grids[phase]
        return -KB * t * (logsumexp(self.log_density(phase, t)) + np.log(x[1] - x[0])) / self.n_atoms

    def delta_g(self, t):
        """G(liquid) − G(fcc), eV/atom."""
        return self.free_energy("liquid", t) - self.free_energy("fcc", t)

    def melting_k(self):
        """Where ΔG vanishes, K."""
        return brentq(self.delta_g, 300.0, 4000.0)

    def delta_h(self, t):
        """Difference of U + PV, eV/atom, from the temperature derivative of ΔG/T."""
        h = 0.5
        slope = (self.delta_g(t + h) / (t + h) - self.delta_g(t - h) / (t - h)) / (2 * h)
        return -(t**2) * slope

    def sample(self, rng, phase, t, *, n_frames=120, tau=0.0):
        """Draw frames; ``tau`` is the correlation time of the volume in frames."""
        log_density = self.log_density(phase, t)
        cdf = np.cumsum(np.exp(log_density - log_density.max()))
        a = np.exp(-1 / tau) if tau > 0 else 0.0
        z = rng.normal(size=n_frames)
        for i in range(1, n_frames):
            z[i] = a * z[i - 1] + np.sqrt(1 - a**2) * z[i]
        x = np.interp(ndtr(z), cdf / cdf[-1], self.grids[phase])
        correction = basis(x, np) @ self.theta
        field = FIELD + COUPLING * correction
        angle = np.where(field > 0, np.pi, 0.0)[:, None, None] + rng.vonmises(
            0.0, np.abs(field)[:, None, None] / (KB * t), size=(n_frames, self.n_atoms, 3)
        )
        length = np.cbrt(self.n_atoms * np.exp(x))
        energies = self.n_atoms * (wells(x, np) + correction) + field * np.cos(angle).sum(axis=(1, 2))
        return Sample(
            positions=(angle / (2 * np.pi) * length[:, None, None]).astype(np.float32),
            cells=length[:, None, None] * np.eye(3),
            energies=energies,
            steps=np.arange(n_frames, dtype=np.int64) * 100,
            species=np.zeros(self.n_atoms, dtype=np.int32),
            elements=("Cu",),
            phase=phase,
            temperature_k=t,
            pressure_gpa=self.pressure_gpa,
            timestep_fs=2.0,
            model_hash=make_model(self.theta).hash,
        )

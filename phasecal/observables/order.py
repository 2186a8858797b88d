"""Which phase a frame is in: Bragg amplitudes of the original lattice, global bond order, two-phase profiles.

* Bragg amplitude |Σ_j exp(2πi h·s_j)|/N of reflections in which the perfect crystal scatters fully:
  Debye–Waller 0.5–0.9 in a solid, about 1/√N in a liquid, and small in a crystal of another orientation.
* Global Q6 of Steinhardt, Nelson & Ronchetti, PRB 28, 784 (1983), eq. 1.4: rotation-invariant; 0.3–0.6 in any
  single crystal near melting, below 0.1 in a liquid of some hundred atoms.
* Two-phase boxes: the in-plane Bragg amplitude as a function of z. The lateral box edges are fixed, so the
  in-plane reflections of the seed crystal stay commensurate however much it grows.

Everything works in fractional coordinates of the frame, in orthogonal or triclinic cells, unless said
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree
from scipy.special import sph_harm_y

from phasecal.sample import Sample

LIQUID_ORDER = 0.2
"""In-plane amplitude that no slice of a liquid shows (typically 0.1)."""
PROFILE_WIDTH = 0.64
"""Standard deviation of the Gaussian that smooths profiles along z, in cube roots of the atomic volume: 1.5 Å for
copper near melting."""
Q6_SHELL = 1.2
"""Bonds reach this many fcc nearest-neighbour distances at the frame's density."""


def scaled_positions(sample: Sample) -> NDArray[np.float64]:
    """Fractional coordinates, not wrapped, shape (n_frames, n_atoms, 3)."""
    scaled: NDArray[np.float64] = sample.positions.astype(np.float64) @ np.linalg.inv(sample.cells)
    return scaled


def bragg_order(sample: Sample, vectors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bragg amplitude of every frame, averaged over reflections.

    Args:
        sample: Frames.
        vectors: Miller indices with respect to the cell of the frames, from
            :func:`~phasecal.structures.reflections.bragg_vectors`.

    Returns:
        Between 0 and 1, shape (n_frames,).
    """
    phases = 2j * np.pi * vectors.T
    return np.array([np.abs(np.exp(frame @ phases).mean(axis=0)).mean() for frame in scaled_positions(sample)])


def global_q6(sample: Sample, cutoff: float | None = None) -> NDArray[np.float64]:
    """Global bond-orientational order Q6 of every frame of an orthogonal cell.

    Args:
        sample: Frames.
        cutoff: Longest bond, Å; by default 1.2 nearest-neighbour distances of fcc at the density of the
            frame, which takes the first shell of a close-packed crystal and two shells of bcc.

    Returns:
        Q6, shape (n_frames,).
    """
    values = []
    for scaled, cell in zip(scaled_positions(sample), sample.cells, strict=True):
        edges = np.diag(cell)
        reach = cutoff or Q6_SHELL * (np.sqrt(2.0) * edges.prod() / len(scaled)) ** (1 / 3)
        wrapped = np.clip((scaled % 1.0) * edges, 0.0, np.nextafter(edges, 0.0))
        pairs = cKDTree(wrapped, boxsize=edges).query_pairs(reach, output_type="ndarray")
        bonds = wrapped[pairs[:, 1]] - wrapped[pairs[:, 0]]
        bonds -= edges * np.round(bonds / edges)
        polar = np.arccos(np.clip(bonds[:, 2] / np.linalg.norm(bonds, axis=1), -1.0, 1.0))
        azimuth = np.arctan2(bonds[:, 1], bonds[:, 0])
        moments = np.array([np.abs(sph_harm_y(6, m, polar, azimuth).mean()) ** 2 for m in range(7)])
        values.append(np.sqrt(4 * np.pi / 13 * (moments[0] + 2 * moments[1:].sum())))
    return np.array(values)


@dataclass(frozen=True)
class TwoPhaseOrder:
    """Where a two-phase box is solid: where the in-plane order is more than half of that of its crystal.

    Crystals differ in how much order heat has left them (Debye–Waller amplitude 0.5 to 0.8 near melting), so the
    crystal of the run itself sets the scale.

    Attributes:
        fraction: Fraction of the box (by length along z) that is solid, shape (n_frames,).
        profile: In-plane Bragg amplitude against z, shape (n_frames, n_bins).
    """

    fraction: NDArray[np.float64]
    profile: NDArray[np.float64]


def solid_fraction(sample: Sample, vectors: NDArray[np.int64], n_bins: int = 200) -> TwoPhaseOrder:
    """Tell solid from liquid along z by the in-plane order of the seed crystal.

    Args:
        sample: Frames of an orthogonal two-phase box whose interfaces are normal to z.
        vectors: In-plane Miller indices with respect to the cell of the frames (third index 0).
        n_bins: Slices along z before smoothing.
    """
    profiles = []
    for scaled, cell in zip(scaled_positions(sample), sample.cells, strict=True):
        slices = np.floor((scaled[:, 2] % 1.0) * n_bins).astype(np.int64) % n_bins
        width = PROFILE_WIDTH * (np.linalg.det(cell) / len(scaled)) ** (1 / 3) * n_bins / cell[2, 2]
        waves = np.exp(2j * np.pi * scaled @ vectors.T)
        count = _smooth(np.bincount(slices, minlength=n_bins).astype(np.float64), width)
        amplitude = np.zeros(n_bins)
        for wave in waves.T:
            real = _smooth(np.bincount(slices, wave.real, n_bins).astype(np.float64), width)
            imaginary = _smooth(np.bincount(slices, wave.imag, n_bins).astype(np.float64), width)
            amplitude += np.hypot(real, imaginary) / np.maximum(count, 1e-12)
        profiles.append(amplitude / len(vectors))
    profile = np.array(profiles)
    of_crystal = float(np.median(np.quantile(profile, 0.9, axis=1)))
    area = float(np.mean([cell[0, 0] * cell[1, 1] for cell in sample.cells]))
    spacing = (float(sample.volumes.mean()) / sample.n_atoms) ** (1 / 3)
    solid = profile > max(of_crystal / 2, LIQUID_ORDER, _noise(area / spacing**2, len(vectors)))
    return TwoPhaseOrder(fraction=solid.mean(axis=1), profile=profile)


def _noise(atoms_per_area: float, n_vectors: int) -> float:
    """In-plane amplitude that a slice of a liquid hardly ever exceeds: mean plus 4σ of random phases (Rayleigh).

    A small lateral box has few atoms in the smoothing window, a Gaussian as wide as 2√π standard deviations.
    """
    n = 2 * np.pi**0.5 * PROFILE_WIDTH * atoms_per_area
    return float((np.pi**0.5 / 2 + 4 * ((1 - np.pi / 4) / n_vectors) ** 0.5) / n**0.5)


def _smooth(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Convolve with a periodic Gaussian whose standard deviation is ``width`` bins."""
    smooth: NDArray[np.float64] = gaussian_filter1d(values, width, mode="wrap")
    return smooth

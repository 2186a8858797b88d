"""Structure and dynamics of a liquid: radial distribution function and self-diffusion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from phasecal.errors import DataError
from phasecal.observables.order import scaled_positions
from phasecal.observables.statistics import Estimate, student_factor
from phasecal.sample import Sample

A2_PER_PS_IN_M2_PER_S = 1e-8
"""1 Å²/ps in m²/s."""


def rdf(sample: Sample, r_max: float, n_bins: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radial distribution function of all atoms, averaged over frames of orthogonal cells.

    Args:
        sample: Frames.
        r_max: Largest distance, Å; at most half the shortest edge.
        n_bins: Number of bins.

    Returns:
        Bin centres (Å) and g(r), each of shape (n_bins,).

    Raises:
        DataError: ``r_max`` exceeds half an edge of some frame.
    """
    shortest = float(np.min(sample.cells[:, range(3), range(3)]))
    if r_max > shortest / 2:
        raise DataError(f"g(r) needs r_max of at most half the shortest edge ({shortest / 2:.2f} Å), got {r_max}")
    edges = np.linspace(0.0, r_max, n_bins + 1)
    counts = np.zeros(n_bins)
    for scaled, cell in zip(scaled_positions(sample), sample.cells, strict=True):
        box = np.diag(cell)
        wrapped = np.clip((scaled % 1.0) * box, 0.0, np.nextafter(box, 0.0))
        pairs = cKDTree(wrapped, boxsize=box).query_pairs(r_max, output_type="ndarray")
        bonds = wrapped[pairs[:, 1]] - wrapped[pairs[:, 0]]
        bonds -= box * np.round(bonds / box)
        found = np.histogram(np.linalg.norm(bonds, axis=1), edges)[0]
        ideal_pairs = sample.n_atoms * (sample.n_atoms - 1) / 2
        counts += found / ideal_pairs * box.prod()
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    return (edges[1:] + edges[:-1]) / 2, counts / sample.n_frames / shells


def diffusion_coefficient(sample: Sample, n_segments: int = 5) -> Estimate:
    """Self-diffusion coefficient from Einstein's relation, in m²/s.

    The mean-square displacement is taken in fractional coordinates times the mean cell, so that volume
    fluctuations do not count as motion, relative to the centre of mass. Its slope between a quarter and half of a
    segment excludes the ballistic start; segments of the run give the error. Not corrected for the finite cell (Yeh &
    Hummer, J. Phys. Chem. B 108, 15873 (2004)): low by some 10 % at 500 atoms, the same before and after a calibration.

    Args:
        sample: Equidistant frames with unwrapped positions.
        n_segments: Number of independent segments.

    Raises:
        DataError: Fewer than 8 frames per segment, or frames that are not equidistant.
    """
    spacing = np.unique(np.diff(sample.steps))
    length = sample.n_frames // n_segments
    if length < 8 or len(spacing) != 1:
        raise DataError(
            f"diffusion needs {n_segments} segments of at least 8 equidistant frames, got {sample.n_frames} frames"
        )
    scaled = scaled_positions(sample)
    positions = (scaled - scaled.mean(axis=1, keepdims=True)) @ sample.cells.mean(axis=0)
    frame_ps = float(spacing[0]) * sample.timestep_fs / 1000
    lags = np.arange(length // 4, length // 2 + 1)
    slopes = []
    for i in range(n_segments):
        segment = positions[i * length : (i + 1) * length]
        msd = [float(np.mean(np.sum((segment[lag:] - segment[:-lag]) ** 2, axis=-1))) for lag in lags]
        slopes.append(np.polyfit(lags * frame_ps, msd, 1)[0])
    values = np.array(slopes) / 6 * A2_PER_PS_IN_M2_PER_S
    sigma = float(values.std(ddof=1)) / n_segments**0.5 * student_factor(n_segments - 1)
    return Estimate(float(values.mean()), sigma, float(n_segments), float(length))

"""Crystals, supercells and two-phase boxes."""

"""Molecular-dynamics engines."""

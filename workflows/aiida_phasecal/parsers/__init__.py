"""Parsers of the jobs of phasecal."""

"""Fitting a machine-learned potential to labelled frames, and labelling frames."""

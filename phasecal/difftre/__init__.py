"""Differentiable trajectory reweighting: responses to the parameters, and steps in them."""

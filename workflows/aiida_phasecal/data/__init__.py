"""Node types: models, samples and phase diagrams."""

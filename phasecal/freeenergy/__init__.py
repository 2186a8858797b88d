"""Free-energy differences and phase boundaries."""

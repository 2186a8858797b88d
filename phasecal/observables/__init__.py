"""What a trajectory shows: averages with intervals, order, structure, and the crystal at rest."""

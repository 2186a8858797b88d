"""One round of a calibration: from samples and anchors to the next model."""

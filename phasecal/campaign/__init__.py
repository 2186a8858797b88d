"""The campaign file: what is calibrated, to what, and how much is computed."""

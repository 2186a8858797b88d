"""Work chains of phasecal: from one restarted MD run up to a verified calibration."""

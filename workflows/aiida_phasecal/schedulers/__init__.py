"""Schedulers of phasecal: Slurm with several jobs in one allocation."""

"""`python -m phasecal.cli` is `phasecal`."""

from phasecal.cli import main

main(prog_name="phasecal")

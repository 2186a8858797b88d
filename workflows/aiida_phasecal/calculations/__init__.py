"""Jobs that run on a computer: LAMMPS molecular dynamics and phasecal tasks."""

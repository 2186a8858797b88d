"""phasecal calibrates interatomic potentials so that their phase boundaries meet experiment.

This package is the science: it never imports aiida, and runs on a cluster node on its own.
"""

__version__ = "0.1.0"

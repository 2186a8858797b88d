"""The AiiDA plugin of phasecal: thin processes around the science in :mod:`phasecal`, and the record they leave."""

from phasecal import __version__

__all__ = ["__version__"]

"""The report of a campaign: figures, tables and one self-contained HTML page, made from plain data."""

from phasecal.report.write import write_report

__all__ = ["write_report"]

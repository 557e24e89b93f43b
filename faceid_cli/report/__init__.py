"""The report of an enrolment: one HTML file that holds everything it shows. Pure functions; needs no torch."""

from faceid_cli.report.content import MapColumn, ReportContent, ReportPhoto, ReportPicture, ScoreTable
from faceid_cli.report.page import MARK, report_page

__all__ = [
    "MARK",
    "MapColumn",
    "ReportContent",
    "ReportPhoto",
    "ReportPicture",
    "ScoreTable",
    "report_page",
]

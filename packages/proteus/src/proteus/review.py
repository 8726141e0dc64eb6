"""Experts' review of finished runs: blinded sheets out, agreement of experts, rubric and model in."""

from proteus.judging._review import Agreement, export_sheet, import_sheets

__all__ = ["Agreement", "export_sheet", "import_sheets"]

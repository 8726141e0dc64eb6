"""Experts' review of hypotheses: blinded sheets (`_sheets`), and how far experts, rubric and model agree.

from proteus_experiments import review

review.export_sheet(["run"], "sheet")  # a copy of sheet.csv for each expert; key.json for nobody who judges
review.import_sheets("sheet", ["anna.csv", "bo.csv"]).table
"""

from proteus_experiments.review._sheets import Agreement, export_sheet, import_sheets

__all__ = ["Agreement", "export_sheet", "import_sheets"]

"""How hypotheses are scored: by an offline rubric, and by experts on blinded sheets.

`_rubric` scores the five metrics named in the abstract (reliability, coherence, alignment, novelty, evaluability; their
anchors in `_rubric_text` are ours), `_review` writes sheets and reads them back, `_agreement` has weighted kappa and
Krippendorff's alpha.

Examples:
    >>> from proteus import review
    >>> review.__all__
    ['Agreement', 'export_sheet', 'import_sheets']
"""

from proteus.review._review import Agreement, export_sheet, import_sheets

__all__ = ["Agreement", "export_sheet", "import_sheets"]

"""Learners side by side: `_compare` (several learners through the same sessions, resumable), `_audit` (leaks, classes
to come, calibration), `_figures` (pictures)."""

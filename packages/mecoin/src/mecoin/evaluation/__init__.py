"""Learners side by side: `_compare` (several learners through the same sessions, resumable), `_audit` (leaks, classes
to come, calibration), `_answers` (models of files and what they answer), `_figures` (pictures)."""

"""Learners taken through sessions: `_protocol` (figures of a session), `_bench` (several learners, resumable), `_tune`
(rivals' settings, on base classes alone), `_audit` (leaks), `_figures` (pictures)."""

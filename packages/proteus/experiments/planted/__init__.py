"""Planted truth in simulated tables: how hypotheses are scored against it (`_truth`), regulators (`_regulation`)."""

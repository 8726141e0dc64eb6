"""What a learner is (`_learner`), how it is taken through sessions and what is measured then (`_run`), and how its
settings are chosen on base classes alone (`_tune`). What users hand in, checked: `_doors`."""

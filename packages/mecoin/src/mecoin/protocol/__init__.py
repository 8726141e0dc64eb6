"""What a learner is (`_learner`), how it is taken through sessions, what is measured then, and how its settings are
chosen on base classes alone (`_run`). What users hand in, checked: `_doors`."""

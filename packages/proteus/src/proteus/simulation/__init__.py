"""Tables with planted truth and decoys, learned from a real one (`_simulate`), series of them (`_simulate_runs`), and
hypotheses scored against the key (`_truth`).
"""

"""The deterministic planner: objective templates with preconditions (`_templates`), refinement rules with measured
triggers (`_rules`), the planner itself (`_expert`), and how any planner is asked (`_asking`).
"""

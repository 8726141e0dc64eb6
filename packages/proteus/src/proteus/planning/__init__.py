"""The deterministic planner: objective templates with preconditions (`_templates`), refinement rules with measured
triggers (`_rules`), the planner itself (`_expert`), and how any planner is asked (`_asking`). What is printed is
made from typed fields, for any planner that was asked: sentences of findings (`_headline`), of a model's objectives
(`_typed`). The user's own question: `_question`.
"""

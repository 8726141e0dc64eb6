"""The deterministic planner: objective templates with preconditions (`_templates`), refinement rules with measured
triggers (`_rules`), the planner itself (`_expert`), and how any planner is asked (`_asking`). What any planner's words
go through: the sentence made from slots (`_headline`), prose held against them (`_prose`, by the words of `_lexicon`).
The user's own question: `_question`.
"""

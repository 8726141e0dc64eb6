"""Language models: the client with retries and a budget (`_client`, `_http`, `_endpoint`), and one for a run
(`_opening`), recorded calls (`_calls`), prompts (`_prompt`), the planner (`_planner`), the judge (`_judge`), and what
a model may see (`_veil`).
"""

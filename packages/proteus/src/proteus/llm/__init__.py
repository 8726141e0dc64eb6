"""Language models: the client with retries and a budget (`_client`, `_http`, `_endpoint`), recorded calls (`_calls`),
prompts (`_prompt`, `_words`), the planner (`_planner`), the judge (`_judge`), what a model may see (`_veil`), and a
scripted server for tests (`_fake_server`, `_script`, `_spoil`).
"""

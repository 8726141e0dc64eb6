"""Encoders that take a task's head, and how they are fine-tuned: what a switch is made of.

`_models` (MiniLM or any Hugging Face encoder), `_tiny_text` (a stand-in without downloads), full fine-tuning in
`_finetune`.
"""

"""Encoders that take a task's head, and how they are fine-tuned: what a switch is made of.

Texts: `_models` (MiniLM or any Hugging Face encoder), `_tiny_text` (a stand-in without downloads); pictures:
`_image_model` (EfficientNet-Lite0); full fine-tuning: `_finetune`; LoRA adapters: `_adapter`.
"""

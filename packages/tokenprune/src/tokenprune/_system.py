"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="tokenprune",
    summary="skip unimportant tokens, block by block, in a frozen LLM: prefill gets faster",
    demo="tokenprune.demo:demo",
    claims="tokenprune_experiments.claims:CLAIMS",
    seconds=50,
    own='tokenprune ask report.txt "What was decided?" --sparsity 0.3',
)

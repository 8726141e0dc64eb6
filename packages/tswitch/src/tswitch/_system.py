"""What this package registers with the `ninefold` command."""

from ninefold.systems import System

SYSTEM = System(
    name="tswitch",
    summary="store each fine-tuned model as a 1-3 % ternary switch, flip between tasks, route automatically",
    demo="tswitch.demo:demo",
    claims="tswitch_experiments.claims:CLAIMS",
    seconds=40,
    own="tswitch compress base tuned -o switch",
)

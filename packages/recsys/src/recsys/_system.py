"""What this package registers with the `ninefold` command."""

from ninefold.systems import System

SYSTEM = System(
    name="recsys",
    summary="recommend from ratings, clicks, context, sequences and content, with evaluation that can be trusted",
    demo="recsys.demo:demo",
    claims="recsys_experiments.claims:CLAIMS",
    own="recsys best shop.csv --minutes 20 -o best",
    seconds=15,
)

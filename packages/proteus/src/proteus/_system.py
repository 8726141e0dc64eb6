"""How the `ninefold` command finds this package."""

from ninefold.systems import System

SYSTEM = System(
    name="proteus",
    summary="From a proteomics table to ranked, traceable hypotheses, offline and without a language model",
    demo="proteus.demo:demo",
    claims="proteus_experiments.claims:CLAIMS",
    own="proteus run proteinGroups.txt -s samples.csv -o run",
    seconds=15,
)

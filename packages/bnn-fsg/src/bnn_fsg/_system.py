"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="bnn-fsg",
    summary="train 1-bit networks with learned gradients, run them bit-packed on a CPU",
    demo="bnn_fsg.demo:demo",
    claims="bnn_fsg_experiments.claims:CLAIMS",
    seconds=30,
    own="bnn-fsg pretrain --data pictures -o float",
)

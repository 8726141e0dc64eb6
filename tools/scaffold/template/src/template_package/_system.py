"""What the core finds through the entry point."""

from ninefold.systems import System

SYSTEM = System(
    name="template-package",
    summary="many means at once, by James-Stein shrinkage (an example)",
    demo="template_package.demo:demo",
    claims="template_package_experiments.claims:CLAIMS",
)

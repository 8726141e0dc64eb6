"""What claims and benchmarks are made of: fine-tuned models and switches, kept from run to run."""

"""What claims and benchmarks are made of: fine-tuned models, kept from run to run, and tuned rivals."""

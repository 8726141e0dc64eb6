"""Speed beside peers (`_timing`), and R's limma and survival as a check (`_r`)."""

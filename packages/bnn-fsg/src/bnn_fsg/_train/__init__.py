"""Training of 1-bit networks: everything that needs torch (extra `train`)."""

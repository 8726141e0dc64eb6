"""What needs torch (extra `torch`): networks and their training. Nothing outside this folder imports torch."""

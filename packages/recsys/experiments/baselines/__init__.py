"""Models that the claims compare with and the package does not hold: simpler ones lead them (see ATTEMPTS.md)."""

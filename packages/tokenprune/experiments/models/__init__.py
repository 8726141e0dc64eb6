"""Models, texts and routers that the claims share, fitted once for each seed and kept (`_arms`, `_mixed`)."""

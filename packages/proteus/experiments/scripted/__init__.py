"""A scripted language model behind a real HTTP server, for tests and claims: turns, answers, and what goes wrong."""

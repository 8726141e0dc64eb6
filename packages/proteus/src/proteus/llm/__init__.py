"""Language models: the scripted server, the client, and what may be shown to a model."""

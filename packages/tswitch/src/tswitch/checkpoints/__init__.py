"""Checkpoints on disk, read and written tensor by tensor in bounded memory.

Reading any layout: `_checkpoint`; a model in any form in which it may be given, and a base's digest: `_given`; by name:
`_opening`; writing shard by shard: `_writer`.
"""

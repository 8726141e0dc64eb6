"""Merging on disk, tensor by tensor: `_merge` writes what a method of `baselines` makes of many models, `_recipe` reads
mergekit's YAML."""

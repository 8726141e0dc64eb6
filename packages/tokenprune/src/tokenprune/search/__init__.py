"""Stages 1 and 3: the genetic search for a schedule.

_genetic    genes, seeds, crossover, mutation
_fitness    KL to the dense model, NLL or accuracy of a schedule
_prefixes   states before the first changed block, kept from one schedule to the next
_analyze    how little each block changes the stream; block influence
_processes  candidates shared out under torchrun
"""

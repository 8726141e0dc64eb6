"""A model with a schedule and a router: what users hold, save and load.

_pruner    TokenPruner
_document  a text that is read once and asked many times
_answers   text from a pruned model: going on, and answers
_config    FTPConfig
_learn     which heads look ahead
_base_model  which model a pruner was made for
_files     a pruner's folder
_schema    what it must hold
_report    what a prompt took: kept tokens, operations, cache; pictures
"""

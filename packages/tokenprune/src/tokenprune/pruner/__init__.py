"""A model with a schedule and a router: what users hold, save and load.

_pruner    TokenPruner
_document  a text that is read once and asked many times
_config    FTPConfig
_routers   the router that the settings ask for
_base_model  which model a pruner was made for
_files     a pruner's folder
_schema    what it must hold
_report    what a prompt took: kept tokens, operations, cache; pictures
_pipeline  the three stages in a run folder
_starts    training from several starts, the best of them
_unseen    what a schedule is worth on text that no stage saw
"""

"""Auto-Switch (paper, section 3.4): each input finds its task among a few unlabelled training inputs of each.

`_query_set` is Q, `_features` what neighbours are sought in, `_router` the vote and the routed forward, `_inputs` how
batches are cut; `_live` puts it all behind texts, `_answers` shows what comes out.
"""

"""Few-shot class-incremental sessions without leaks: which node is for what, and when (`_split`), and what a learner
sees of the graph in each session (`_stream`); data and splits as a user names them (`_given`)."""

"""Graphs whose nodes have ids, features and some labels: `_graph`; read from files (`_readers`; MATLAB: `_mat`)
or PyG (`_pyg`), or simulated (`_simulator`)."""

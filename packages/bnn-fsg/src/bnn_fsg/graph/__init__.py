"""The graph of a packed network, in numpy alone: its operations, their sizes, and all that are no convolutions.

_graph        the operations of a `.bnn` file, checked and fused
_sizes        what every value takes, found before anything is made
_point_sizes  the same for the operations other than convolutions
_checks       what is checked of their numbers and arrays
_points       the operations other than convolutions (_curves, _moves are their pieces)
"""

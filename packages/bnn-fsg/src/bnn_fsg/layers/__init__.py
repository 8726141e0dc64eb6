"""What makes a network binary: signs and their gradients, forwards of weights and activations, layers, networks.

_signs        sign with another derivative in its place
_quantizers   forwards of 1-bit weights: DoReFa, BWN, XNOR, IR-Net, AdaBin, ReActNet
_activations  forwards of 1-bit inputs; RPReLU
_layers       `binarize`: convolutions and linear layers with 1-bit weights
_nets         networks to train, and the recipe from which a saved one is built again
_spec         what packing needs of a layer: any module of yours that has it can be packed
_opening      the network that a user names
_adabin       AdaBin's published ResNet-20
"""

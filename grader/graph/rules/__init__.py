"""The rules of the paper over a network that was read: what deviates, where, and how it is told.

    rulings.py       the table: what each difference costs, and what a student is told
    network.py       which rules apply to which function
    layers.py        composite function, growth rate, bottleneck: one convolution and its BN
    connectivity.py  dense connectivity: what a layer, a transition or the head receives
    blocks.py, transitions.py, stem.py, head.py
    weights.py       own weights: kernels and batch norms
    odd.py           operations that the paper does not have
    modes.py         training and inference
    judge.py         what they all look at
    deviation.py     what they find

The same rules read the graphs of inference and of training; only what a batch norm normalises by
differs.
"""

"""Texts of the reference that several mutants edit, and edits that put a mistake in one place."""

from grader.selftest.mutant import Edit

H = "    x = bn_relu(x)\n    x = conv(x, filters, kernel_size)\n"
"""BN, ReLU, convolution of a dense layer."""
BN_RELU = "    x = layers.BatchNormalization()(x)\n    return layers.ReLU()(x)\n"
"""BN, ReLU wherever it stands: dense layers, transitions, head."""
BN = "    x = layers.BatchNormalization()(x)\n"
RELU = "    return layers.ReLU()(x)\n"
SEEN = "        seen = join(features)\n"
"""What a layer is given."""
NEW = "        features.append(new)\n"
"""How a layer's maps join the others."""
OUT = "        features.append(new)\n    return join(features)\n"
"""The end of the block."""
BLOCK = "x = dense_block(x, num_layers, growth_rate, bottleneck, dropout_rate)"
"""The call of a dense block in build_densenet."""
TRANSITION = "x = transition(x, compression, dropout_rate)"
"""The call of a transition in build_densenet."""
SQUEEZE = "    x = bn_relu(x)\n    x = conv(x, filters, 1)\n"
"""BN, ReLU, 1 x 1 convolution of a transition."""
POOL = "    return layers.AveragePooling2D(2)(x)\n"
STEM = "    x = conv(inputs, stem, 3)\n"
HEAD = "    x = bn_relu(x)\n    x = layers.GlobalAveragePooling2D()(x)\n"
CLASSIFIER = '    return layers.Dense(num_classes, activation="softmax")(x)\n'


def in_layer(condition: str, instead: str = "odd_layer") -> Edit:
    """Calls `instead` for `dense_layer` in the layers for which the condition holds.

    Args:
        condition: over `layer` (from 1), `num_layers`, `growth_rate` and `bottleneck`.
        instead: a function with the arguments of `dense_layer`.
    """
    return (
        "new = dense_layer(seen,",
        f"new = ({instead} if {condition} else dense_layer)(seen,",
    )


def in_block(condition: str, instead: str = "odd_block") -> Edit:
    """Calls `instead` for `dense_block` in the blocks for which the condition on `block` holds."""
    return (BLOCK, BLOCK.replace("dense_block", f"({instead} if {condition} else dense_block)"))


def in_transition(number: int, instead: str = "odd_transition") -> Edit:
    """Calls `instead` for `transition` after block `number`."""
    return (
        TRANSITION,
        TRANSITION.replace("transition(", f"({instead} if block == {number} else transition)("),
    )


def odd_layer(*, first: str = "", second: str = "") -> str:
    """A dense layer `odd_layer` of its own, its two halves as given or as in the reference.

    Args:
        first: indented statements that turn x into the 4k maps of the bottleneck.
        second: indented statements that turn x into the k new maps.
    """
    first = first or "        x = conv(bn_relu(x), 4 * growth_rate, 1)\n"
    second = second or "    x = conv(bn_relu(x), growth_rate, 3)\n"
    return (
        "def odd_layer(x, growth_rate, bottleneck, dropout_rate):\n"
        '    """A dense layer that is not the paper\'s."""\n'
        f"    if bottleneck:\n{first}{second}    return x\n"
    )


def odd_block(body: str) -> str:
    """A dense block `odd_block` with the given indented body in place of the reference's."""
    return (
        "def odd_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):\n"
        '    """A dense block that is not the paper\'s."""\n' + body
    )


def odd_transition(body: str) -> str:
    """A transition `odd_transition` with the given indented body after `filters`."""
    return (
        "def odd_transition(x, compression=0.5, dropout_rate=0.0):\n"
        '    """A transition that is not the paper\'s."""\n'
        "    filters = math.floor(compression * x.shape[-1])\n" + body
    )

"""Wrong composite functions, activations, normalisations, bottlenecks and kernels."""

from grader.selftest.edits import (
    BN,
    RELU,
    H,
    in_block,
    in_layer,
    odd_block,
    odd_layer,
)
from grader.selftest.mutant import Mutant

_CONV = "    x = conv(x, filters, kernel_size)\n"
_BN_LINE = "    x = layers.BatchNormalization()(x)\n"
_RELU_LINE = "    x = layers.ReLU()(x)\n"
_ORDER = {"composite-function"}
_SECOND = "    return composite(x, growth_rate, 3, dropout_rate)\n"
_FIRST = "        x = composite(x, 4 * growth_rate, 1, dropout_rate)\n"
_BLOCK_OF_ODD_LAYERS = odd_block(
    "    features = [x]\n"
    "    for _ in range(num_layers):\n"
    "        seen = join(features)\n"
    "        features.append(odd_layer(seen, growth_rate, bottleneck, dropout_rate))\n"
    "    return join(features)\n"
)

ORDER = (
    Mutant(
        "order-conv-bn-relu",
        kills=_ORDER,
        where="dense_block",
        why="Convolution, BN, ReLU in every dense layer: the order before ResNet v2.",
        replace=[(H, _CONV + "    x = bn_relu(x)\n")],
    ),
    Mutant(
        "order-relu-bn-conv",
        kills=_ORDER,
        where="dense_block",
        why="ReLU before BN in every dense layer.",
        replace=[(H, _RELU_LINE + _BN_LINE + _CONV)],
    ),
    Mutant(
        "order-bn-conv-relu",
        kills=_ORDER,
        where="dense_block",
        why="BN, convolution, ReLU in every dense layer.",
        replace=[(H, _BN_LINE + _CONV + _RELU_LINE)],
    ),
    Mutant(
        "order-relu-conv-bn",
        kills=_ORDER,
        where="dense_block",
        why="ReLU, convolution, BN in every dense layer.",
        replace=[(H, _RELU_LINE + _CONV + _BN_LINE)],
    ),
    Mutant(
        "order-conv-relu-bn",
        kills=_ORDER,
        where="dense_block",
        why="Convolution, ReLU, BN in every dense layer.",
        replace=[(H, _CONV + _RELU_LINE + _BN_LINE)],
    ),
    Mutant(
        "layers-without-bn",
        kills=_ORDER | {"parameter-count-block"},
        where="dense_block",
        why="No BN in the dense layers.",
        replace=[(H, _RELU_LINE + _CONV)],
    ),
    Mutant(
        "layers-without-relu",
        kills=_ORDER,
        where="dense_block",
        why="No ReLU in the dense layers.",
        replace=[(H, _BN_LINE + _CONV)],
    ),
    Mutant(
        "layers-bare-convolution",
        kills=_ORDER | {"parameter-count-block"},
        where="dense_block",
        why="Dense layers are convolutions alone.",
        replace=[(H, _CONV)],
    ),
    Mutant(
        "layers-relu-after-convolution-too",
        kills=_ORDER,
        where="dense_block",
        why="A second ReLU after each convolution.",
        replace=[(H, H + _RELU_LINE)],
    ),
    Mutant(
        "layers-bn-after-convolution-too",
        kills=_ORDER | {"parameter-count-block"},
        where="dense_block",
        why="A second BN after each convolution.",
        replace=[(H, H + _BN_LINE)],
    ),
    Mutant(
        "layers-bn-twice",
        kills=_ORDER | {"parameter-count-block"},
        where="dense_block",
        why="Two BN in a row in every dense layer.",
        replace=[(H, _BN_LINE + H)],
    ),
    Mutant(
        "layers-bn-relu-twice",
        kills=_ORDER | {"parameter-count-block"},
        where="dense_block",
        why="BN, ReLU, BN, ReLU before each convolution.",
        replace=[(H, "    x = bn_relu(x)\n" + H)],
    ),
    Mutant(
        "bn-after-relu-too",
        kills=_ORDER | {"parameter-count-block"},
        where="dense_block",
        why="BN, ReLU, BN before each convolution.",
        replace=[(H, "    x = bn_relu(x)\n" + _BN_LINE + _CONV)],
    ),
    Mutant(
        "layer-3-order-conv-bn-relu",
        kills=_ORDER,
        where="layer 3",
        why="Convolution, BN, ReLU in the third layer of a block only.",
        replace=[in_layer("layer == 3")],
        define=odd_layer(second="    x = bn_relu(conv(x, growth_rate, 3))\n"),
    ),
    Mutant(
        "layer-2-order-relu-bn-conv",
        kills=_ORDER,
        where="layer 2",
        why="ReLU before BN in front of the 3x3 convolution of the second layer only.",
        replace=[in_layer("layer == 2")],
        define=odd_layer(
            second="    x = layers.BatchNormalization()(layers.ReLU()(x))\n"
            "    x = conv(x, growth_rate, 3)\n"
        ),
    ),
    Mutant(
        "layer-1-without-bn-relu",
        kills=_ORDER | {"parameter-count-block"},
        where="layer 1",
        why="The first layer of a block convolves the block input without BN and ReLU.",
        replace=[in_layer("layer == 1")],
        define=odd_layer(
            first="        x = conv(x, 4 * growth_rate, 1)\n",
            second="    if bottleneck:\n        x = bn_relu(x)\n    x = conv(x, growth_rate, 3)\n",
        ),
    ),
    Mutant(
        "last-layer-without-relu",
        kills=_ORDER,
        where="layer",
        why="The last layer of a block has no ReLU before its last convolution.",
        replace=[in_layer("layer == num_layers")],
        define=odd_layer(second="    x = conv(layers.BatchNormalization()(x), growth_rate, 3)\n"),
    ),
    Mutant(
        "block-2-order-bn-conv-relu",
        kills=_ORDER,
        where="block 2",
        why="The layers of the second block are BN, convolution, ReLU.",
        replace=[in_block("block == 2")],
        define=odd_layer(
            second="    x = layers.ReLU()(conv(layers.BatchNormalization()(x), growth_rate, 3))\n"
        )
        + _BLOCK_OF_ODD_LAYERS,
    ),
    Mutant(
        "block-3-layer-2-without-relu",
        kills=_ORDER,
        where="block 3, layer 2",
        why="One ReLU is missing in the whole network: block 3, layer 2, before the 3x3.",
        replace=[in_block("block == 3")],
        define=odd_layer(second="    x = conv(layers.BatchNormalization()(x), growth_rate, 3)\n")
        + odd_block(
            "    features = [x]\n"
            "    for layer in range(1, num_layers + 1):\n"
            "        function = odd_layer if layer == 2 else dense_layer\n"
            "        features.append("
            "function(join(features), growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features)\n"
        ),
    ),
    Mutant(
        "block-1-layer-1-bn-twice",
        kills=_ORDER | {"parameter-count-network"},
        where="block 1, layer 1",
        why="One BN too many in the whole network: block 1, layer 1.",
        replace=[in_block("block == 1")],
        define=odd_layer(
            second="    x = bn_relu(layers.BatchNormalization()(x))\n"
            "    x = conv(x, growth_rate, 3)\n"
        )
        + odd_block(
            "    features = [x]\n"
            "    for layer in range(1, num_layers + 1):\n"
            "        function = odd_layer if layer == 1 else dense_layer\n"
            "        features.append("
            "function(join(features), growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features)\n"
        ),
    ),
    Mutant(
        "basic-layers-without-relu",
        kills=_ORDER,
        where="dense_block",
        why="With bottleneck=False the layers have no ReLU; with it they are right.",
        replace=[in_layer("not bottleneck")],
        define=odd_layer(second="    x = conv(layers.BatchNormalization()(x), growth_rate, 3)\n"),
    ),
    Mutant(
        "basic-layers-order-conv-bn-relu",
        kills=_ORDER,
        where="dense_block",
        why="With bottleneck=False the layers are convolution, BN, ReLU.",
        replace=[in_layer("not bottleneck")],
        define=odd_layer(second="    x = bn_relu(conv(x, growth_rate, 3))\n"),
    ),
    Mutant(
        "bottleneck-without-first-bn-relu",
        kills=_ORDER | {"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="The 1x1 convolution of the bottleneck stands without BN and ReLU.",
        replace=[(_FIRST, "        x = conv(x, 4 * growth_rate, 1)\n")],
    ),
    Mutant(
        "bottleneck-without-second-bn-relu",
        kills=_ORDER | {"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="No BN and ReLU between the 1x1 and the 3x3 convolution.",
        replace=[
            (
                _SECOND,
                "    if bottleneck:\n        return conv(x, growth_rate, 3)\n" + _SECOND,
            )
        ],
    ),
    Mutant(
        "bottleneck-relu-only-between",
        kills=_ORDER | {"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="Only a ReLU, no BN, between the 1x1 and the 3x3 convolution.",
        replace=[
            (
                _SECOND,
                "    if bottleneck:\n        return conv(layers.ReLU()(x), growth_rate, 3)\n"
                + _SECOND,
            )
        ],
    ),
    Mutant(
        "bottleneck-order-conv-bn-relu-inside",
        kills=_ORDER | {"bottleneck"},
        where="dense_block",
        why="BN-ReLU-1x1, then 3x3-BN-ReLU: the second half is in the order before ResNet v2.",
        replace=[
            (
                _SECOND,
                "    if bottleneck:\n        return bn_relu(conv(x, growth_rate, 3))\n" + _SECOND,
            )
        ],
    ),
)


def _activation(name: str, new: str, why: str) -> Mutant:
    """Another activation after every BN of the network."""
    return Mutant(
        name,
        kills={"composite-function", "foreign-ops", "transition-layer", "head"},
        where="dense_block",
        why=why,
        replace=[(RELU, f"    return {new}\n")],
    )


ACTIVATIONS = (
    _activation("relu6", "layers.ReLU(max_value=6)(x)", "ReLU cut off at 6."),
    _activation("relu6-op", "ops.relu6(x)", "ReLU6 as an op."),
    _activation("relu-cut-at-1", "layers.ReLU(max_value=1.0)(x)", "ReLU cut off at 1."),
    _activation(
        "relu-negative-slope", "layers.ReLU(negative_slope=0.1)(x)", "A slope below zero in ReLU."
    ),
    _activation("relu-threshold", "layers.ReLU(threshold=0.1)(x)", "ReLU with a threshold."),
    _activation(
        "relu-argument-alpha",
        "keras.activations.relu(x, negative_slope=0.01)",
        "The relu function with a slope below zero.",
    ),
    _activation("leaky-relu", "layers.LeakyReLU()(x)", "Leaky ReLU."),
    _activation("leaky-relu-by-maximum", "ops.maximum(x, 0.1 * x)", "Leaky ReLU in plain ops."),
    _activation("relu-shifted", "ops.maximum(x, -0.1)", "A maximum with -0.1 in place of 0."),
    _activation("relu-squared", "ops.square(ops.relu(x))", "The square of ReLU."),
    _activation("elu", "layers.ELU()(x)", "ELU."),
    _activation("selu", 'layers.Activation("selu")(x)', "SELU."),
    _activation("gelu", 'layers.Activation("gelu")(x)', "GELU."),
    _activation("swish", 'layers.Activation("swish")(x)', "Swish."),
    _activation("hard-swish", "ops.hard_silu(x)", "Hard swish."),
    _activation("softplus", "ops.softplus(x)", "Softplus."),
    _activation("tanh", 'layers.Activation("tanh")(x)', "tanh."),
    _activation("absolute-value", "ops.abs(x)", "Absolute value."),
    _activation("prelu", "layers.PReLU(shared_axes=[1, 2])(x)", "A learned slope below zero."),
    _activation("relu-100", "layers.ReLU(max_value=100.0)(x)", "ReLU cut off at 100."),
    Mutant(
        "layer-2-leaky-relu",
        kills=_ORDER | {"foreign-ops"},
        where="layer 2",
        why="Leaky ReLU in the second layer of a block only.",
        replace=[in_layer("layer == 2")],
        define=odd_layer(
            second="    x = layers.LeakyReLU(0.3)(layers.BatchNormalization()(x))\n"
            "    x = conv(x, growth_rate, 3)\n"
        ),
    ),
    Mutant(
        "block-3-relu6",
        kills=_ORDER | {"foreign-ops"},
        where="block 3",
        why="ReLU cut off at 6 in the third block only.",
        replace=[in_block("block == 3")],
        define=odd_layer(
            second="    x = layers.ReLU(max_value=6)(layers.BatchNormalization()(x))\n"
            "    x = conv(x, growth_rate, 3)\n"
        )
        + _BLOCK_OF_ODD_LAYERS,
    ),
)


def _normalisation(name: str, new: str, why: str, define: str = "") -> Mutant:
    """Another normalisation in place of every BN of the network."""
    return Mutant(
        name,
        kills={
            "composite-function",
            "foreign-ops",
            "training-behaviour",
            "parameter-count-block",
        },
        where="dense_block",
        why=why,
        replace=[(BN, f"    x = {new}\n")],
        define=define,
    )


_OWN_BN = '''\
class OwnBatchNorm(layers.Layer):
    """Batch normalisation written out."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros")
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)
        self.variance = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False)

    def call(self, x, training=False):
{body}
        x = (x - mean) * ops.rsqrt(variance + 1e-3)
        return {result}
'''
_UPDATE = """\
            self.mean.assign(0.99 * self.mean + 0.01 * mean)
            self.variance.assign(0.99 * self.variance + 0.01 * variance)
"""


_MODES = (
    "        if training:\n"
    "            mean, variance = ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))\n"
    + _UPDATE
    + "        else:\n"
    "            mean, variance = self.mean, self.variance\n"
)
"""The batch's statistics in training, the moving ones at inference."""
_STOPPED = "(ops.stop_gradient(f(x, (0, 1, 2))) for f in (ops.mean, ops.var))"


def _own_bn(body: str, result: str = "self.gamma * x + self.beta") -> str:
    return _OWN_BN.replace("{body}\n", body).replace("{result}", result)


NORMALISATIONS = (
    _normalisation("layer-normalisation", "layers.LayerNormalization()(x)", "Layer norm for BN."),
    _normalisation(
        "group-normalisation",
        "layers.GroupNormalization(groups=1)(x)",
        "Group norm with one group for BN.",
    ),
    _normalisation(
        "instance-normalisation",
        "layers.GroupNormalization(groups=-1)(x)",
        "Instance norm for BN.",
    ),
    _normalisation("unit-normalisation", "layers.UnitNormalization()(x)", "Unit norm for BN."),
    _normalisation("rms-normalisation", "layers.RMSNormalization()(x)", "RMS norm for BN."),
    _normalisation(
        "bn-over-rows",
        "layers.BatchNormalization(axis=1)(x)",
        "BN over the rows of the map, not over its channels.",
    ),
    _normalisation(
        "bn-over-columns",
        "layers.BatchNormalization(axis=2)(x)",
        "BN over the columns of the map, not over its channels.",
    ),
    _normalisation(
        "bn-without-offset",
        "layers.BatchNormalization(center=False)(x)",
        "BN without its offset beta: the ReLU's threshold stays at the mean.",
    ),
    _normalisation(
        "bn-hard-wired-to-training",
        "layers.BatchNormalization()(x, training=True)",
        "BN uses the batch's statistics at inference.",
    ),
    _normalisation(
        "bn-hard-wired-to-inference",
        "layers.BatchNormalization()(x, training=False)",
        "BN never uses the batch's statistics.",
    ),
    _normalisation(
        "bn-frozen",
        "layers.BatchNormalization(trainable=False)(x)",
        "BN is frozen: it never learns nor uses the batch's statistics.",
    ),
    _normalisation(
        "bn-always-batch-statistics",
        "OwnBatchNorm()(x)",
        "An own BN that keeps moving statistics and never uses them.",
        _own_bn(
            "        mean, variance = ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))\n"
            "        if training:\n" + _UPDATE
        ),
    ),
    _normalisation(
        "bn-never-batch-statistics",
        "OwnBatchNorm()(x)",
        "An own BN that normalises with its initial moving statistics in both modes.",
        _own_bn("        mean, variance = self.mean, self.variance\n"),
    ),
    _normalisation(
        "bn-moving-statistics-in-training",
        "OwnBatchNorm()(x)",
        "An own BN that updates its moving statistics and uses them in training as well.",
        _own_bn(
            "        if training:\n"
            "            mean, variance = ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))\n"
            + _UPDATE
            + "        mean, variance = self.mean, self.variance\n"
        ),
    ),
    _normalisation(
        "bn-modes-exchanged",
        "OwnBatchNorm()(x)",
        "An own BN with the two modes the wrong way round.",
        _own_bn(
            "        if training:\n"
            "            mean, variance = self.mean, self.variance\n"
            "        else:\n"
            "            mean, variance = ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))\n"
        ),
    ),
    _normalisation(
        "bn-without-moving-update",
        "OwnBatchNorm()(x)",
        "An own BN whose moving statistics are never updated in training.",
        _own_bn(
            "        if training:\n"
            "            mean, variance = ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))\n"
            "        else:\n"
            "            mean, variance = self.mean, self.variance\n"
        ),
    ),
    _normalisation(
        "bn-statistics-per-image",
        "OwnBatchNorm()(x)",
        "An own BN whose training statistics are each image's, as in instance norm.",
        _own_bn(
            "        if training:\n"
            "            mean = ops.mean(x, (1, 2), keepdims=True)\n"
            "            variance = ops.var(x, (1, 2), keepdims=True)\n"
            + _UPDATE.replace("* mean)", "* ops.mean(mean, (0, 1, 2)))").replace(
                "* variance)", "* ops.mean(variance, (0, 1, 2)))"
            )
            + "        else:\n"
            "            mean, variance = self.mean, self.variance\n"
        ),
    ),
    _normalisation(
        "bn-divides-by-variance",
        "OwnBatchNorm()(x)",
        "An own BN that divides by the variance, not by its root.",
        _own_bn(_MODES).replace("ops.rsqrt(variance + 1e-3)", "ops.reciprocal(variance + 1e-3)"),
    ),
    _normalisation(
        "bn-gamma-beta-unused",
        "OwnBatchNorm()(x)",
        "An own BN that has gamma and beta and does not apply them.",
        _own_bn(
            "        if training:\n"
            "            mean, variance = ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))\n"
            + _UPDATE
            + "        else:\n"
            "            mean, variance = self.mean, self.variance\n",
            result="x",
        ),
    ),
    _normalisation(
        "bn-moving-variance-follows-the-mean",
        "OwnBatchNorm()(x)",
        "An own BN whose moving variance is moved towards the mean of the batch.",
        _own_bn(
            "        if training:\n"
            "            mean, variance = ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))\n"
            + _UPDATE.replace("0.01 * variance", "0.01 * mean")
            + "        else:\n"
            "            mean, variance = self.mean, self.variance\n"
        ),
    ),
    _normalisation(
        "bn-moving-update-at-inference-too",
        "OwnBatchNorm()(x)",
        "An own BN whose moving statistics are changed by every image, at inference too.",
        _own_bn(
            "        mean, variance = ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))\n"
            + _UPDATE.replace("            self", "        self")
            + "        if not training:\n"
            "            mean, variance = self.mean, self.variance\n"
        ),
    ),
    _normalisation(
        "bn-moving-mean-follows-twice-the-mean",
        "OwnBatchNorm()(x)",
        "An own BN whose moving mean is moved towards twice the mean of the batch.",
        _own_bn(_MODES.replace("0.01 * mean", "0.02 * mean")),
    ),
    _normalisation(
        "bn-moving-mean-follows-one-pixel",
        "OwnBatchNorm()(x)",
        "An own BN whose moving mean is moved towards the first pixel of the first image.",
        _own_bn(_MODES.replace("0.01 * mean", "0.01 * x[0, 0, 0]")),
    ),
    _normalisation(
        "bn-scale-behind-a-stopped-gradient",
        "OwnBatchNorm()(x)",
        "An own BN whose scale no gradient reaches.",
        _own_bn(_MODES, result="ops.stop_gradient(self.gamma) * x + self.beta"),
    ),
    _normalisation(
        "bn-offset-behind-a-stopped-gradient",
        "OwnBatchNorm()(x)",
        "An own BN whose offset no gradient reaches, in training alone.",
        _own_bn(
            _MODES,
            result="self.gamma * x + (ops.stop_gradient(self.beta) if training else self.beta)",
        ),
    ),
    _normalisation(
        "bn-statistics-behind-a-stopped-gradient",
        "OwnBatchNorm()(x)",
        "An own BN whose batch statistics pass no gradient.",
        _own_bn(_MODES.replace("ops.mean(x, (0, 1, 2)), ops.var(x, (0, 1, 2))", _STOPPED)),
    ),
    _normalisation(
        "bn-variance-behind-a-stopped-gradient",
        "OwnBatchNorm()(x)",
        "An own BN whose variance of the batch passes no gradient.",
        _own_bn(
            _MODES.replace("ops.var(x, (0, 1, 2))", "ops.stop_gradient(ops.var(x, (0, 1, 2)))")
        ),
    ),
    Mutant(
        "layer-2-layer-normalisation",
        kills=_ORDER | {"foreign-ops", "parameter-count-block"},
        where="layer 2",
        why="Layer norm in the second layer of a block only.",
        replace=[in_layer("layer == 2")],
        define=odd_layer(
            second="    x = layers.ReLU()(layers.LayerNormalization()(x))\n"
            "    x = conv(x, growth_rate, 3)\n"
        ),
    ),
    Mutant(
        "block-3-bn-frozen",
        kills={"training-behaviour", "composite-function", "parameter-count-network"},
        where="block 3",
        why="BN is frozen in the third block only.",
        replace=[in_block("block == 3")],
        define=odd_layer(
            second="    x = layers.ReLU()(layers.BatchNormalization(trainable=False)(x))\n"
            "    x = conv(x, growth_rate, 3)\n"
        )
        + _BLOCK_OF_ODD_LAYERS,
    ),
    Mutant(
        "layer-3-bn-hard-wired-to-training",
        kills={"training-behaviour", "composite-function"},
        where="layer 3",
        why="One BN, in the third layer, always uses the batch's statistics.",
        replace=[in_layer("layer == 3")],
        define=odd_layer(
            second="    x = layers.ReLU()(layers.BatchNormalization()(x, training=True))\n"
            "    x = conv(x, growth_rate, 3)\n"
        ),
    ),
)


def _bottleneck(name: str, width: str, why: str) -> Mutant:
    """Another width of the bottleneck in every layer."""
    return Mutant(
        name,
        kills={"bottleneck", "parameter-count-block"},
        where="dense_block",
        why=why,
        replace=[("4 * growth_rate, 1", f"{width}, 1")],
    )


BOTTLENECKS = (
    _bottleneck("bottleneck-2k", "2 * growth_rate", "The bottleneck has 2k maps."),
    _bottleneck("bottleneck-k", "growth_rate", "The bottleneck has k maps."),
    _bottleneck("bottleneck-8k", "8 * growth_rate", "The bottleneck has 8k maps."),
    _bottleneck("bottleneck-4k-plus-1", "4 * growth_rate + 1", "The bottleneck has 4k + 1 maps."),
    _bottleneck("bottleneck-48", "48", "The bottleneck has 48 maps, which is 4k for k = 12 only."),
    _bottleneck("bottleneck-128", "128", "The bottleneck has 128 maps, as for ImageNet's k = 32."),
    _bottleneck("bottleneck-of-input", "x.shape[-1]", "The bottleneck keeps the input's width."),
    _bottleneck(
        "bottleneck-4-times-input", "4 * x.shape[-1]", "The bottleneck is 4 times its input."
    ),
    _bottleneck(
        "bottleneck-quarter", "x.shape[-1] // 4 or 1", "A quarter of the input, as ResNet."
    ),
    _bottleneck(
        "bottleneck-at-most-input",
        "min(4 * growth_rate, x.shape[-1])",
        "The bottleneck is never wider than its input.",
    ),
    Mutant(
        "bottleneck-missing",
        kills={"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="bottleneck=True makes no bottleneck.",
        replace=[
            ("    if bottleneck:\n        x = composite", "    if False:\n        x = composite")
        ],
    ),
    Mutant(
        "bottleneck-always",
        kills={"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="bottleneck=False makes bottlenecks all the same.",
        replace=[
            ("    if bottleneck:\n        x = composite", "    if True:\n        x = composite")
        ],
    ),
    Mutant(
        "bottleneck-flag-inverted",
        kills={"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="The bottleneck is there when it is not asked for, and the other way round.",
        replace=[
            (
                "    if bottleneck:\n        x = composite",
                "    if not bottleneck:\n        x = composite",
            )
        ],
    ),
    Mutant(
        "bottleneck-3x3",
        kills={"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="The bottleneck's first convolution is 3x3.",
        replace=[("4 * growth_rate, 1", "4 * growth_rate, 3")],
    ),
    Mutant(
        "bottleneck-3x3-then-1x1",
        kills={"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="The 3x3 convolution comes first, the 1x1 second.",
        replace=[
            ("4 * growth_rate, 1", "4 * growth_rate, 3"),
            (
                _SECOND,
                "    return composite(x, growth_rate, 1 if bottleneck else 3, dropout_rate)\n",
            ),
        ],
    ),
    Mutant(
        "bottleneck-1x1-after",
        kills={"bottleneck", "parameter-count-block", "composite-function"},
        where="dense_block",
        why="3x3 with k maps first, then a 1x1 with k maps: the bottleneck stands behind.",
        replace=[
            (_FIRST, "        x = composite(x, growth_rate, 3, dropout_rate)\n"),
            (
                _SECOND,
                "    return composite(x, growth_rate, 1 if bottleneck else 3, dropout_rate)\n",
            ),
        ],
    ),
    Mutant(
        "bottleneck-twice",
        kills={"bottleneck", "parameter-count-block", "composite-function"},
        where="dense_block",
        why="Two 1x1 convolutions before the 3x3.",
        replace=[(_FIRST, _FIRST + _FIRST)],
    ),
    Mutant(
        "bottleneck-then-two-3x3",
        kills={"bottleneck", "parameter-count-block", "composite-function"},
        where="dense_block",
        why="A 1x1 and two 3x3 convolutions in every layer.",
        replace=[(_SECOND, "    x = composite(x, growth_rate, 3, dropout_rate)\n" + _SECOND)],
    ),
    Mutant(
        "bottleneck-resnet-1x1-3x3-1x1",
        kills={"bottleneck", "parameter-count-block", "composite-function"},
        where="dense_block",
        why="A ResNet bottleneck: 1x1, 3x3, 1x1.",
        replace=[
            (
                _SECOND,
                "    if bottleneck:\n"
                "        x = composite(x, growth_rate, 3, dropout_rate)\n"
                "        return composite(x, growth_rate, 1, dropout_rate)\n" + _SECOND,
            )
        ],
    ),
    Mutant(
        "layer-1-without-bottleneck",
        kills={"bottleneck", "parameter-count-block"},
        where="layer 1",
        why="The first layer of a block has no bottleneck.",
        replace=[
            (
                "new = dense_layer(seen, growth_rate, bottleneck,",
                "new = dense_layer(seen, growth_rate, bottleneck and layer > 1,",
            )
        ],
    ),
    Mutant(
        "layer-3-bottleneck-2k",
        kills={"bottleneck", "parameter-count-block"},
        where="layer 3",
        why="The bottleneck of the third layer has 2k maps.",
        replace=[in_layer("layer == 3")],
        define=odd_layer(first="        x = conv(bn_relu(x), 2 * growth_rate, 1)\n"),
    ),
    Mutant(
        "block-2-bottleneck-3k",
        kills={"bottleneck", "parameter-count-network"},
        where="block 2",
        why="The bottlenecks of the second block have 3k maps.",
        replace=[in_block("block == 2")],
        define=odd_layer(first="        x = conv(bn_relu(x), 3 * growth_rate, 1)\n")
        + _BLOCK_OF_ODD_LAYERS,
    ),
    Mutant(
        "block-3-without-bottleneck",
        kills={"bottleneck", "parameter-count-network"},
        where="block 3",
        why="The third block has no bottlenecks.",
        replace=[
            (
                "x = dense_block(x, num_layers, growth_rate, bottleneck, dropout_rate)",
                "x = dense_block(x, num_layers, growth_rate, bottleneck and block < 3)",
            )
        ],
    ),
    Mutant(
        "bottleneck-only-when-wide",
        kills={"bottleneck", "parameter-count-block"},
        where="dense_block",
        why="A bottleneck only where the input is wider than 4k.",
        replace=[
            (
                "    if bottleneck:\n        x = composite",
                "    if bottleneck and x.shape[-1] > 4 * growth_rate:\n        x = composite",
            )
        ],
    ),
)


def _second(name: str, new: str, why: str, define: str = "", where: str = "dense_block") -> Mutant:
    """Another second convolution in every layer, after BN and ReLU."""
    return Mutant(
        name,
        kills={
            "composite-function",
            "foreign-ops",
            "own-weights",
            "parameter-count-block",
            "dense-connectivity",
        },
        where=where,
        why=why,
        replace=[(_SECOND, new)],
        define=define,
    )


_DEPTHWISE = 'layers.DepthwiseConv2D(3, padding="same", use_bias=False)'

KERNELS = (
    _second(
        "kernel-5x5", "    return composite(x, growth_rate, 5, dropout_rate)\n", "5x5 for 3x3."
    ),
    _second(
        "kernel-1x1", "    return composite(x, growth_rate, 1, dropout_rate)\n", "1x1 for 3x3."
    ),
    _second(
        "kernel-3x1-and-1x3",
        "    x = composite(x, growth_rate, (3, 1), dropout_rate)\n"
        "    return conv(x, growth_rate, (1, 3))\n",
        "3x1 and 1x3 for 3x3.",
    ),
    _second(
        "kernel-2x2", "    return composite(x, growth_rate, 2, dropout_rate)\n", "2x2 for 3x3."
    ),
    _second(
        "dilation-2",
        "    x = bn_relu(x)\n"
        "    return layers.Conv2D(\n"
        '        growth_rate, 3, padding="same", dilation_rate=2, use_bias=False\n'
        "    )(x)\n",
        "The 3x3 convolutions are dilated.",
    ),
    _second(
        "groups",
        "    x = bn_relu(x)\n"
        "    groups = math.gcd(x.shape[-1], growth_rate)\n"
        "    return layers.Conv2D(\n"
        '        growth_rate, 3, padding="same", groups=groups, use_bias=False\n'
        "    )(x)\n",
        "Grouped 3x3 convolutions.",
    ),
    _second(
        "separable",
        "    x = bn_relu(x)\n"
        '    return layers.SeparableConv2D(growth_rate, 3, padding="same", use_bias=False)(x)\n',
        "Depthwise-separable for 3x3 convolutions.",
    ),
    _second(
        "depthwise-then-1x1",
        f"    return conv({_DEPTHWISE}(bn_relu(x)), growth_rate, 1)\n",
        "A depthwise and a 1x1 convolution for the 3x3.",
    ),
    _second(
        "two-3x3",
        "    x = conv(bn_relu(x), growth_rate, 3)\n    return conv(x, growth_rate, 3)\n",
        "Two 3x3 convolutions in a row.",
    ),
    _second(
        "stride-2-and-upsampling",
        "    x = bn_relu(x)\n"
        '    x = layers.Conv2D(growth_rate, 3, strides=2, padding="same", use_bias=False)(x)\n'
        "    return layers.UpSampling2D(2)(x)\n",
        "3x3 convolutions with stride 2, enlarged again.",
    ),
    _second(
        "padding-on-one-side",
        "    x = layers.ZeroPadding2D(((2, 0), (2, 0)))(bn_relu(x))\n"
        '    return layers.Conv2D(growth_rate, 3, padding="valid", use_bias=False)(x)\n',
        "The padding of the 3x3 stands on two sides only: same shape and count, shifted maps.",
    ),
    _second(
        "padding-reflected",
        "    x = bn_relu(x)\n"
        '    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")\n'
        '    return layers.Conv2D(growth_rate, 3, padding="valid", use_bias=False)(x)\n',
        "Padding by reflection, not with zeros.",
    ),
    _second(
        "padding-with-ones",
        "    x = bn_relu(x)\n"
        "    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0)\n"
        '    return layers.Conv2D(growth_rate, 3, padding="valid", use_bias=False)(x)\n',
        "Padding with ones, not with zeros.",
    ),
    _second(
        "padding-after-valid",
        "    x = bn_relu(x)\n"
        '    x = layers.Conv2D(growth_rate, 3, padding="valid", use_bias=False)(x)\n'
        "    return layers.ZeroPadding2D(1)(x)\n",
        "A convolution without padding, then zeros around its result.",
    ),
    _second(
        "padding-before-bn",
        "    x = bn_relu(layers.ZeroPadding2D(1)(x))\n"
        '    return layers.Conv2D(growth_rate, 3, padding="valid", use_bias=False)(x)\n',
        "Padding before BN and ReLU: the border is beta, not zero.",
    ),
    _second(
        "spectral-normalisation",
        "    x = bn_relu(x)\n"
        '    conv2 = layers.Conv2D(growth_rate, 3, padding="same", use_bias=False)\n'
        "    return layers.SpectralNormalization(conv2)(x)\n",
        "Kernels divided by their spectral norm.",
    ),
    _second(
        "weight-standardisation",
        "    return StandardisedConv(growth_rate)(bn_relu(x))\n",
        "Kernels are standardised before use.",
        '''class StandardisedConv(layers.Conv2D):
    """A 3x3 convolution with standardised weights."""

    def __init__(self, filters, **kwargs):
        super().__init__(filters, 3, padding="same", use_bias=False, **kwargs)

    def call(self, x):
        mean, variance = ops.moments(self.kernel, (0, 1, 2), keepdims=True)
        return ops.conv(x, (self.kernel - mean) * ops.rsqrt(variance + 1e-5), padding="same")

    def get_config(self):
        return {"filters": self.filters}
''',
    ),
    _second(
        "kernel-masked-to-its-centre",
        "    return CentreConv(growth_rate)(bn_relu(x))\n",
        "A 3x3 kernel of which only the centre is used: right shape and count, a 1x1 in fact.",
        '''class CentreConv(layers.Layer):
    """A 3x3 convolution multiplied by a fixed mask."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], self.filters))

    def call(self, x):
        mask = ops.reshape(ops.convert_to_tensor([0.0] * 4 + [1.0] + [0.0] * 4), (3, 3, 1, 1))
        return ops.conv(x, self.kernel * mask, padding="same")
''',
    ),
    _second(
        "kernel-scaled-by-tanh",
        "    return SquashedConv(growth_rate)(bn_relu(x))\n",
        "The kernel is squashed by tanh before use.",
        '''class SquashedConv(layers.Layer):
    """A 3x3 convolution with bounded weights."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], self.filters))

    def call(self, x):
        return ops.conv(x, ops.tanh(self.kernel), padding="same")
''',
    ),
    _second(
        "kernel-1x1-when-basic",
        "    return composite(x, growth_rate, 3 if bottleneck else 1, dropout_rate)\n",
        "With bottleneck=False the convolution is 1x1.",
    ),
    Mutant(
        "layer-2-dilation",
        kills=_ORDER | {"foreign-ops"},
        where="layer 2",
        why="The 3x3 convolution of the second layer is dilated.",
        replace=[in_layer("layer == 2")],
        define=odd_layer(
            second="    x = bn_relu(x)\n"
            '    x = layers.Conv2D(growth_rate, 3, padding="same", dilation_rate=2,'
            " use_bias=False)(x)\n"
        ),
    ),
    Mutant(
        "layer-3-kernel-5x5",
        kills=_ORDER | {"parameter-count-block"},
        where="layer 3",
        why="The third layer convolves with 5x5.",
        replace=[in_layer("layer == 3")],
        define=odd_layer(second="    x = conv(bn_relu(x), growth_rate, 5)\n"),
    ),
    Mutant(
        "block-2-layer-3-kernel-1x1",
        kills=_ORDER | {"parameter-count-network"},
        where="block 2, layer 3",
        why="One convolution of the network is 1x1 for 3x3: block 2, layer 3.",
        replace=[in_block("block == 2")],
        define=odd_layer(second="    x = conv(bn_relu(x), growth_rate, 1)\n")
        + odd_block(
            "    features = [x]\n"
            "    for layer in range(1, num_layers + 1):\n"
            "        function = odd_layer if layer == 3 else dense_layer\n"
            "        features.append("
            "function(join(features), growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features)\n"
        ),
    ),
    Mutant(
        "squeeze-and-excitation",
        kills=_ORDER | {"foreign-ops", "parameter-count-block", "dense-connectivity"},
        where="dense_block",
        why="Every layer's maps are weighted by squeeze-and-excitation.",
        replace=[(_SECOND, "    return squeezed(composite(x, growth_rate, 3, dropout_rate))\n")],
        define='''def squeezed(x):
    """Squeeze-and-excitation."""
    s = layers.GlobalAveragePooling2D(keepdims=True)(x)
    s = layers.Dense(x.shape[-1], activation="sigmoid")(s)
    return layers.Multiply()([x, s])
''',
    ),
)

WRONG_LAYERS = (*ORDER, *ACTIVATIONS, *NORMALISATIONS, *BOTTLENECKS, *KERNELS)

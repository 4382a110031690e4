"""Wrong stems, heads, structures, constants, shared weights, modes, extras and contracts."""

from grader.selftest.edits import (
    BLOCK,
    CLASSIFIER,
    HEAD,
    OUT,
    STEM,
    TRANSITION,
    in_block,
    in_layer,
    odd_block,
    odd_layer,
)
from grader.selftest.mutant import Edit, Mutant

_STEM_WIDTH = "2 * growth_rate if bottleneck and compression < 1 else 16"
_LOOP_START = "    for block in (1, 2, 3):\n"


def _stem(name: str, new: str, why: str, *kills: str, define: str = "") -> Mutant:
    """Other statements for the stem's one convolution, from `inputs` to x."""
    return Mutant(
        name,
        kills={"stem", *kills},
        where="stem",
        why=why,
        replace=[(STEM, new)],
        define=define,
    )


_STEM_COUNTED = "parameter-count-network"

STEMS = (
    _stem("stem-relu", STEM + "    x = layers.ReLU()(x)\n", "A ReLU after the stem."),
    _stem(
        "stem-bn",
        STEM + "    x = layers.BatchNormalization()(x)\n",
        "A BN after the stem.",
        _STEM_COUNTED,
    ),
    _stem("stem-bn-relu", STEM + "    x = bn_relu(x)\n", "BN and ReLU after it.", _STEM_COUNTED),
    _stem(
        "stem-relu-argument",
        "    x = layers.Conv2D(\n"
        '        stem, 3, padding="same", use_bias=False, activation="relu"\n'
        "    )(inputs)\n",
        "The stem's convolution has activation='relu'.",
    ),
    _stem(
        "stem-bn-before",
        "    x = conv(layers.BatchNormalization()(inputs), stem, 3)\n",
        "A BN before the stem.",
        _STEM_COUNTED,
    ),
    _stem("stem-5x5", "    x = conv(inputs, stem, 5)\n", "A 5x5 stem.", _STEM_COUNTED),
    _stem("stem-7x7", "    x = conv(inputs, stem, 7)\n", "A 7x7 stem.", _STEM_COUNTED),
    _stem("stem-1x1", "    x = conv(inputs, stem, 1)\n", "A 1x1 stem.", _STEM_COUNTED),
    _stem(
        "stem-stride-2",
        '    x = layers.Conv2D(stem, 3, strides=2, padding="same", use_bias=False)(inputs)\n',
        "A stem with stride 2.",
    ),
    _stem(
        "stem-valid",
        "    x = layers.Conv2D(stem, 3, use_bias=False)(inputs)\n",
        "A stem without padding.",
    ),
    _stem(
        "stem-max-pooling",
        STEM + '    x = layers.MaxPooling2D(3, 2, padding="same")(x)\n',
        "Max pooling after the stem.",
    ),
    _stem(
        "stem-max-pooling-stride-1",
        STEM + '    x = layers.MaxPooling2D(3, 1, padding="same")(x)\n',
        "Max pooling with stride 1 after the stem: same shape and count.",
    ),
    _stem(
        "stem-of-imagenet",
        '    x = layers.Conv2D(stem, 7, strides=2, padding="same", use_bias=False)(inputs)\n'
        '    x = layers.MaxPooling2D(3, 2, padding="same")(bn_relu(x))\n',
        "The ImageNet stem: 7x7 with stride 2, BN, ReLU, max pooling.",
        _STEM_COUNTED,
    ),
    _stem(
        "stem-upsampled",
        '    x = layers.Conv2D(stem, 3, strides=2, padding="same", use_bias=False)(inputs)\n'
        "    x = layers.UpSampling2D(2)(x)\n",
        "Stride 2, enlarged again: same shape and count.",
    ),
    _stem(
        "stem-two-convolutions",
        STEM + "    x = conv(x, stem, 3)\n",
        "Two convolutions in the stem.",
        _STEM_COUNTED,
    ),
    _stem(
        "stem-dilated",
        '    x = layers.Conv2D(stem, 3, dilation_rate=2, padding="same", use_bias=False)(inputs)\n',
        "A dilated stem.",
        "foreign-ops",
    ),
    _stem(
        "stem-beside-the-image",
        "    x = join([inputs, conv(inputs, stem, 3)])\n",
        "The image is concatenated to the stem's maps.",
        "parameter-count-network",
        "dense-connectivity",
    ),
    _stem(
        "stem-missing",
        "    x = inputs\n",
        "No stem: the first block receives the image.",
        _STEM_COUNTED,
    ),
    _stem(
        "stem-frozen",
        '    first = layers.Conv2D(stem, 3, padding="same", use_bias=False, trainable=False)\n'
        "    x = first(inputs)\n",
        "The stem's convolution is frozen.",
        "training-behaviour",
        _STEM_COUNTED,
    ),
    _stem(
        "stem-mirrored",
        STEM + "    x = x[:, ::-1, :, :]\n",
        "The stem's maps are turned upside down: same shape and count.",
        "foreign-ops",
    ),
    _stem(
        "stem-transposed-input",
        "    x = conv(ops.transpose(inputs, (0, 2, 1, 3)), stem, 3)\n",
        "The image's rows and columns are exchanged: same shape and count.",
        "foreign-ops",
    ),
    _stem(
        "stem-image-squared",
        "    x = conv(ops.square(inputs), stem, 3)\n",
        "The image's values are squared: no affine scaling.",
        "foreign-ops",
    ),
    _stem(
        "stem-image-standardised-per-image",
        "    x = inputs - ops.mean(inputs, (1, 2, 3), keepdims=True)\n    x = conv(x, stem, 3)\n",
        "Each image's own mean is subtracted.",
        "foreign-ops",
    ),
    _stem(
        "stem-grey",
        "    x = conv(ops.mean(inputs, -1, keepdims=True), stem, 3)\n",
        "The stem sees the image in grey.",
        _STEM_COUNTED,
        "foreign-ops",
    ),
)


def _stem_width(name: str, width: str, why: str) -> Mutant:
    return Mutant(
        name,
        kills={"stem", "parameter-count-network"},
        where="stem",
        why=why,
        replace=[(_STEM_WIDTH, width)],
    )


STEM_WIDTHS = (
    _stem_width("stem-24", "24", "Always 24 stem channels, 2k for k = 12 only."),
    _stem_width("stem-64", "64", "Always 64 stem channels, as for ImageNet."),
    _stem_width("stem-32", "32", "Always 32 stem channels."),
    _stem_width("stem-k", "growth_rate", "k stem channels."),
    _stem_width("stem-3k", "3 * growth_rate", "3k stem channels."),
    _stem_width("stem-4k", "4 * growth_rate", "4k stem channels."),
    _stem_width("stem-3", "3", "3 stem channels."),
    _stem_width("stem-by-depth", "depth", "As many stem channels as the network is deep."),
)


def _head(name: str, new: str, why: str, *kills: str, old: str = HEAD) -> Mutant:
    return Mutant(name, kills={"head", *kills}, where="head", why=why, replace=[(old, new)])


_GAP = "    x = layers.GlobalAveragePooling2D()(x)\n"
_BN = "    x = layers.BatchNormalization()(x)\n"
_RELU = "    x = layers.ReLU()(x)\n"
_HEAD_COUNTED = "parameter-count-network"

HEADS = (
    _head(
        "head-max-pooling",
        "    x = layers.GlobalMaxPooling2D()(bn_relu(x))\n",
        "Global max pooling.",
    ),
    _head(
        "head-flatten",
        "    x = layers.Flatten()(bn_relu(x))\n",
        "Flatten for the pooling.",
        _HEAD_COUNTED,
    ),
    _head(
        "head-pool-2-and-flatten",
        "    x = layers.Flatten()(layers.AveragePooling2D(2)(bn_relu(x)))\n",
        "2x2 pooling and Flatten for global pooling.",
        _HEAD_COUNTED,
    ),
    _head("head-without-bn", _RELU + _GAP, "No BN in the head.", _HEAD_COUNTED),
    _head("head-without-relu", _BN + _GAP, "No ReLU in the head."),
    _head("head-without-bn-relu", _GAP, "Neither BN nor ReLU in the head.", _HEAD_COUNTED),
    _head("head-relu-bn", _RELU + _BN + _GAP, "ReLU before BN in the head."),
    _head("head-pool-first", _GAP + "    x = bn_relu(x)\n", "Pooling before BN and ReLU."),
    _head("head-pool-between", _BN + _GAP + _RELU, "Pooling between BN and ReLU."),
    _head("head-bn-twice", _BN + HEAD, "Two BN in the head.", _HEAD_COUNTED),
    _head("head-bn-after-pooling", HEAD + _BN, "A BN after the pooling.", _HEAD_COUNTED),
    _head(
        "head-convolution",
        "    x = conv(x, x.shape[-1], 1)\n" + HEAD,
        "A 1x1 convolution in the head.",
        _HEAD_COUNTED,
    ),
    _head(
        "head-max-and-average",
        "    x = bn_relu(x)\n"
        "    x = join([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])\n",
        "Average and max pooling, concatenated.",
        _HEAD_COUNTED,
    ),
    _head(
        "head-average-of-poolings",
        "    x = bn_relu(x)\n"
        "    both = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]\n"
        "    x = layers.Average()(both)\n",
        "The mean of average and max pooling: same count.",
    ),
    _head(
        "head-sum-for-mean",
        "    x = ops.sum(bn_relu(x), axis=(1, 2))\n",
        "The sum over the map, not the mean.",
    ),
    _head(
        "head-corner-pixel",
        "    x = bn_relu(x)[:, 0, 0, :]\n",
        "One pixel of the map, not its mean.",
        "foreign-ops",
    ),
    _head(
        "head-mean-of-inner-pixels",
        "    x = layers.GlobalAveragePooling2D()(bn_relu(x)[:, 1:-1, 1:-1, :])\n",
        "The mean leaves the border out.",
        "foreign-ops",
    ),
    _head(
        "head-root-mean-square",
        "    x = ops.sqrt(ops.mean(ops.square(bn_relu(x)), axis=(1, 2)) + 1e-6)\n",
        "The root mean square of the map, not its mean.",
        "foreign-ops",
    ),
    _head(
        "head-layer-normalisation",
        "    x = layers.ReLU()(layers.LayerNormalization()(x))\n" + _GAP,
        "Layer norm in the head.",
        _HEAD_COUNTED,
        "foreign-ops",
    ),
    _head(
        "head-leaky-relu",
        _BN + "    x = layers.LeakyReLU()(x)\n" + _GAP,
        "Leaky ReLU in the head.",
        "foreign-ops",
    ),
    _head(
        "head-bn-hard-wired-to-inference",
        "    x = layers.ReLU()(layers.BatchNormalization()(x, training=False))\n" + _GAP,
        "The head's BN never uses the batch's statistics.",
        "training-behaviour",
    ),
    _head(
        "head-hidden-layer",
        '    x = layers.Dense(64, activation="relu")(x)\n' + CLASSIFIER,
        "A hidden fully connected layer.",
        _HEAD_COUNTED,
        old=CLASSIFIER,
    ),
    _head(
        "head-two-dense-layers",
        "    x = layers.Dense(num_classes)(x)\n" + CLASSIFIER,
        "Two fully connected layers without activation between them.",
        _HEAD_COUNTED,
        old=CLASSIFIER,
    ),
    _head(
        "head-sigmoid",
        '    return layers.Dense(num_classes, activation="sigmoid")(x)\n',
        "Sigmoid for softmax.",
        old=CLASSIFIER,
    ),
    _head(
        "head-tanh",
        '    return layers.Dense(num_classes, activation="tanh")(x)\n',
        "tanh for softmax.",
        old=CLASSIFIER,
    ),
    _head(
        "head-relu-classifier",
        '    return layers.Dense(num_classes, activation="relu")(x)\n',
        "ReLU for softmax.",
        old=CLASSIFIER,
    ),
    _head(
        "head-softmax-twice",
        '    return layers.Softmax()(layers.Dense(num_classes, activation="softmax")(x))\n',
        "Softmax twice.",
        old=CLASSIFIER,
    ),
    _head(
        "head-softmax-before-dense",
        "    return layers.Dense(num_classes)(layers.Softmax()(x))\n",
        "Softmax of the features, then the classifier.",
        old=CLASSIFIER,
    ),
    _head(
        "head-temperature",
        "    return layers.Softmax()(layers.Dense(num_classes)(x) / 2.0)\n",
        "The logits are halved before the softmax.",
        "foreign-ops",
        old=CLASSIFIER,
    ),
    _head(
        "head-softmax-over-the-batch",
        "    return layers.Softmax(axis=0)(layers.Dense(num_classes)(x))\n",
        "Softmax over the images of the batch.",
        old=CLASSIFIER,
    ),
    _head(
        "head-features-normalised",
        "    x = layers.UnitNormalization()(x)\n" + CLASSIFIER,
        "The features are scaled to length 1.",
        "foreign-ops",
        old=CLASSIFIER,
    ),
    _head(
        "head-softmax-per-pixel",
        "    x = layers.Conv2D(num_classes, 1, activation='softmax')(bn_relu(x))\n"
        "    return layers.GlobalAveragePooling2D()(x)\n",
        "A classifier at each pixel, whose softmax is averaged: same count.",
        old=HEAD + CLASSIFIER,
    ),
    _head(
        "head-10-classes-always",
        '    return layers.Dense(10, activation="softmax")(x)\n',
        "num_classes is ignored.",
        "network-shape",
        "parameter-count-network",
        old=CLASSIFIER,
    ),
    _head(
        "head-one-class-more",
        '    return layers.Dense(num_classes + 1, activation="softmax")(x)\n',
        "One class more than asked for.",
        "network-shape",
        old=CLASSIFIER,
    ),
    _head(
        "head-missing",
        "    return x\n",
        "No classifier: the pooled features are the output.",
        "network-shape",
        old=CLASSIFIER,
    ),
    _head(
        "head-classifier-frozen",
        '    return layers.Dense(num_classes, activation="softmax", trainable=False)(x)\n',
        "The classifier is frozen.",
        "training-behaviour",
        "parameter-count-network",
        old=CLASSIFIER,
    ),
    _head(
        "head-mean-of-classifiers",
        "    left = layers.Dense(num_classes)(x)\n"
        "    return layers.Softmax()(layers.Average()([left, layers.Dense(num_classes)(x)]))\n",
        "The mean of two classifiers.",
        "parameter-count-network",
        old=CLASSIFIER,
    ),
)


def _network(
    name: str, kills: set[str], why: str, *edits: Edit, where: str = "", define: str = ""
) -> Mutant:
    return Mutant(name, kills=kills, where=where, why=why, replace=edits, define=define)


_DEPTH = "(depth - 4) // (6 if bottleneck else 3)"
_STRUCTURE = {"block-structure", "parameter-count-network"}


def _depth(name: str, layers: str, why: str) -> Mutant:
    """Another number of layers per block."""
    return _network(name, _STRUCTURE, why, (_DEPTH, layers))


def _per_block(name: str, number: str, why: str, where: str = "block") -> Mutant:
    """A number of layers that is not the same in all blocks, over `num_layers` and `block`."""
    return _network(
        name, _STRUCTURE, why, (BLOCK, BLOCK.replace("num_layers", number)), where=where
    )


STRUCTURES = (
    _depth("depth-ignores-bottleneck", "(depth - 4) // 3", "n = (L - 4) / 3 in BC too."),
    _depth("depth-always-bottleneck", "(depth - 4) // 6", "n = (L - 4) / 6 in the basic net too."),
    _depth("depth-one-layer-more", f"{_DEPTH} + 1", "n + 1 layers per block."),
    _depth("depth-one-layer-less", f"{_DEPTH} - 1", "n - 1 layers per block."),
    _depth("depth-without-minus-4", "depth // (6 if bottleneck else 3)", "n = L / 3 or L / 6."),
    _depth("depth-minus-1", "(depth - 1) // (6 if bottleneck else 3)", "n = (L - 1) / 3 or / 6."),
    _depth("depth-3", "3", "n = 3 always, right for L = 22 with bottlenecks only."),
    _depth("depth-6", "6", "n = 6 always, right for L = 40 with bottlenecks only."),
    _depth("depth-16", "min(16, depth // 3)", "n = L / 3, at most 16."),
    _depth("depth-as-layers", "depth // 3", "n = L / 3: depth shared among the blocks."),
    _per_block(
        "block-3-one-layer-more",
        "num_layers + (block == 3)",
        "The third block has a layer more.",
        "block 3",
    ),
    _per_block(
        "block-1-one-layer-less",
        "num_layers - (block == 1)",
        "The first block has a layer less.",
        "block 1",
    ),
    _per_block(
        "blocks-deeper-and-deeper",
        "num_layers + block - 2",
        "n - 1, n and n + 1 layers in the three blocks.",
    ),
    _per_block(
        "blocks-shallower-and-shallower",
        "num_layers + 2 - block",
        "n + 1, n and n - 1 layers in the three blocks.",
    ),
    _per_block("blocks-doubling", "num_layers * block", "n, 2n and 3n layers in the three blocks."),
    _network(
        "four-blocks",
        _STRUCTURE,
        "Four dense blocks and three transitions.",
        (_LOOP_START, "    for block in (0, 1, 2, 3):\n"),
    ),
    _network(
        "two-blocks",
        _STRUCTURE,
        "Two dense blocks and two transitions.",
        (_LOOP_START, "    for block in (1, 3):\n"),
    ),
    _network(
        "one-block",
        _STRUCTURE,
        "One dense block.",
        (_LOOP_START, "    for block in (3,):\n"),
    ),
    _network(
        "transition-after-the-last-block",
        _STRUCTURE | {"transition-layer"},
        "A third transition after the last block.",
        ("        if block < 3:\n", "        if block < 4:\n"),
    ),
    _network(
        "convolution-behind-the-last-block",
        {"head"},
        "The head compresses the maps by a 1x1 convolution before it pools them.",
        (
            "    outputs = head(x, num_classes)\n",
            "    x = conv(bn_relu(x), math.floor(compression * x.shape[-1]), 1)\n"
            "    x = layers.GlobalMaxPooling2D()(x)\n"
            '    outputs = layers.Dense(num_classes, activation="softmax")(x)\n',
        ),
    ),
    _network(
        "transition-before-the-first-block",
        _STRUCTURE | {"transition-layer", "stem"},
        "A transition before each block.",
        (
            f"        {BLOCK}\n        if block < 3:\n            {TRANSITION}\n",
            f"        {TRANSITION}\n        {BLOCK}\n",
        ),
    ),
    _network(
        "without-transitions",
        _STRUCTURE | {"transition-layer"},
        "Nothing between the blocks.",
        ("        if block < 3:\n", "        if block < 0:\n"),
    ),
    _network(
        "without-second-transition",
        _STRUCTURE | {"transition-layer"},
        "Nothing between the second and the third block.",
        ("        if block < 3:\n", "        if block < 2:\n"),
        where="2",
    ),
    _network(
        "pooling-for-second-transition",
        _STRUCTURE | {"transition-layer"},
        "A pooling alone between the second and the third block.",
        (
            TRANSITION,
            f"{TRANSITION} if block == 1 else layers.AveragePooling2D(2)(x)",
        ),
        where="transition 2",
    ),
    _network(
        "transition-twice",
        _STRUCTURE | {"transition-layer"},
        "Two transitions after the first block.",
        (TRANSITION, f"{TRANSITION}\n            if block == 1:\n                {TRANSITION}"),
        where="transition",
    ),
    _network(
        "convolution-between-blocks",
        _STRUCTURE | {"composite-function", "foreign-ops"},
        "A 3x3 convolution after each block.",
        (BLOCK, f"{BLOCK}\n        x = conv(bn_relu(x), x.shape[-1], 3)"),
    ),
    _network(
        "compression-after-last-block",
        _STRUCTURE | {"head", "transition-layer"},
        "A 1x1 convolution without pooling after the last block.",
        (
            "    outputs = head(x, num_classes)\n",
            "    x = conv(bn_relu(x), math.floor(compression * x.shape[-1]), 1)\n"
            "    outputs = head(x, num_classes)\n",
        ),
    ),
    _network(
        "bn-relu-between-block-and-transition",
        _STRUCTURE | {"transition-layer", "composite-function"},
        "BN and ReLU after each block, besides the transition's own.",
        (BLOCK, f"{BLOCK}\n        x = bn_relu(x) if block < 3 else x"),
    ),
    _network(
        "bn-after-transition",
        _STRUCTURE | {"transition-layer", "composite-function"},
        "A BN after each transition.",
        (TRANSITION, f"{TRANSITION}\n            x = layers.BatchNormalization()(x)"),
    ),
)

_CONSTANT = {"parameter-count-network", "block-structure", "growth", "network-shape"}

CONSTANTS = (
    _network(
        "growth-12-in-network",
        _CONSTANT,
        "build_densenet passes k = 12 whatever was asked for.",
        (BLOCK, BLOCK.replace("growth_rate", "12")),
    ),
    _network(
        "growth-12-in-block",
        {"growth", "block-shape", "parameter-count-block"},
        "dense_block adds 12 maps per layer whatever k is.",
        ("    features = [x]\n", "    growth_rate = 12\n    features = [x]\n"),
        where="dense_block",
    ),
    _network(
        "growth-12-in-last-convolution",
        {"growth", "block-shape", "parameter-count-block"},
        "The 3x3 convolution has 12 maps whatever k is.",
        ("return composite(x, growth_rate, 3,", "return composite(x, 12, 3,"),
        where="dense_block",
    ),
    _network(
        "layers-3-in-block",
        {"block-structure", "growth", "block-shape", "parameter-count-block"},
        "dense_block has 3 layers whatever was asked for.",
        ("for layer in range(1, num_layers + 1):", "for layer in range(1, 4):"),
        where="dense_block",
    ),
    _network(
        "layers-at-most-5-in-block",
        {"block-structure", "growth", "block-shape", "parameter-count-block"},
        "dense_block has at most 5 layers.",
        ("range(1, num_layers + 1)", "range(1, min(num_layers, 5) + 1)"),
    ),
    _network(
        "one-layer-more-in-block",
        {"block-structure", "growth", "block-shape", "parameter-count-block"},
        "dense_block has one layer more than asked for.",
        ("range(1, num_layers + 1)", "range(num_layers + 1)"),
        where="dense_block",
    ),
    _network(
        "one-layer-less-in-block",
        {"block-structure", "growth", "block-shape", "parameter-count-block"},
        "dense_block has one layer less than asked for.",
        ("range(1, num_layers + 1)", "range(1, num_layers)"),
        where="dense_block",
    ),
    _network(
        "compression-default-in-network",
        {"block-structure", "parameter-count-network", "transition-layer"},
        "build_densenet does not pass theta on: it stays 0.5.",
        (TRANSITION, TRANSITION.replace("compression, ", "dropout_rate=")),
        where="transition",
    ),
    _network(
        "bottleneck-default-in-network",
        {"block-structure", "parameter-count-network", "bottleneck"},
        "build_densenet does not pass bottleneck on: it stays True.",
        (BLOCK, BLOCK.replace("bottleneck, ", "dropout_rate=")),
        where="block",
    ),
    _network(
        "bottleneck-from-depth",
        {"block-structure", "parameter-count-network", "bottleneck"},
        "build_densenet uses bottlenecks only where the depth is 100 or more, or 22.",
        (
            "    inputs = keras.Input",
            "    bottleneck = bottleneck and (depth >= 100 or depth == 22)\n"
            "    inputs = keras.Input",
        ),
    ),
    _network(
        "compression-off-in-basic",
        {"block-structure", "parameter-count-network", "transition-layer"},
        "theta counts with bottlenecks only: DenseNet-C is not compressed.",
        (
            TRANSITION,
            TRANSITION.replace("compression,", "compression if bottleneck else 1.0,"),
        ),
        where="transition",
    ),
    _network(
        "input-shape-ignored",
        {"network-shape", "module-contract", "stem"},
        "The input is always 32x32x3.",
        ("keras.Input(shape=input_shape)", "keras.Input(shape=(32, 32, 3))"),
    ),
    _network(
        "input-size-free",
        {"network-shape", "module-contract"},
        "The input is resized to 32x32 whatever it was.",
        (STEM, "    x = conv(layers.Resizing(32, 32)(inputs), stem, 3)\n"),
    ),
    _network(
        "input-channels-3",
        {"network-shape", "stem", "parameter-count-network", "module-contract"},
        "Only the first three channels of the input are used.",
        (STEM, "    x = conv(inputs[..., :1], stem, 3)\n"),
        where="stem",
    ),
    _network(
        "depth-ignored",
        _STRUCTURE,
        "The depth is 40 whatever was asked for.",
        (f"    num_layers = {_DEPTH}\n", f"    depth = 40\n    num_layers = {_DEPTH}\n"),
    ),
    _network(
        "right-for-one-configuration",
        _CONSTANT,
        "build_densenet gives BC L = 22, k = 12 whatever was asked for.",
        (
            "    num_layers = (depth",
            "    depth, growth_rate, compression, bottleneck = 22, 12, 0.5, True\n"
            "    num_layers = (depth",
        ),
    ),
    _network(
        "growth-rising-by-layer",
        {"growth", "parameter-count-block", "block-shape"},
        "Layer l adds k + l - 1 maps.",
        (
            "dense_layer(seen, growth_rate,",
            "dense_layer(seen, growth_rate + layer - 1,",
        ),
        where="dense_block",
    ),
    _network(
        "growth-balanced",
        {"growth", "parameter-count-block", "dense-connectivity"},
        "The first layer adds k - 1 maps, the last k + 1: same shape.",
        (
            "dense_layer(seen, growth_rate,",
            "dense_layer(seen, growth_rate + (layer == num_layers) - (layer == 1),",
        ),
        where="dense_block",
    ),
    _network(
        "growth-doubling-by-block",
        {"growth", "parameter-count-network", "block-structure"},
        "k, 2k and 4k in the three blocks.",
        (BLOCK, BLOCK.replace("growth_rate", "growth_rate * 2 ** (block - 1)")),
        where="block 2",
    ),
    _network(
        "growth-one-more-in-block-3",
        {"growth", "parameter-count-network", "block-structure"},
        "k + 1 in the third block.",
        (BLOCK, BLOCK.replace("growth_rate", "growth_rate + (block == 3)")),
        where="block 3",
    ),
    _network(
        "layer-3-growth-plus-1",
        {"growth", "parameter-count-block", "block-shape"},
        "The third layer adds k + 1 maps.",
        ("dense_layer(seen, growth_rate,", "dense_layer(seen, growth_rate + (layer == 3),"),
        where="layer 3",
    ),
    _network(
        "growth-divided-among-layers",
        {"growth", "parameter-count-block", "block-shape"},
        "k is taken as the growth of the whole block.",
        (
            "dense_layer(seen, growth_rate,",
            "dense_layer(seen, max(1, growth_rate // num_layers),",
        ),
        where="dense_block",
    ),
)

_BUILD_MODEL = "    return build_densenet(depth=22, growth_rate=12)\n"


def _trained(name: str, new: str, why: str, *kills: str, where: str = "") -> Mutant:
    """Another network in build_model, everything else right."""
    return _network(
        name,
        {"build-model", "build-model-parameters", "block-structure", *kills},
        why,
        (_BUILD_MODEL, new),
        where=where,
    )


BUILD_MODELS = (
    _trained(
        "build-model-densenet121",
        "    return keras.applications.DenseNet121(\n"
        "        weights=None, input_shape=(32, 32, 3), classes=10\n    )\n",
        "The trained network is keras.applications' DenseNet121.",
        "stem",
    ),
    _trained(
        "build-model-resnet",
        "    inputs = keras.Input((32, 32, 3))\n"
        "    x = conv(inputs, 16, 3)\n"
        "    for _ in range(3):\n"
        "        y = conv(bn_relu(x), 16, 3)\n"
        "        x = layers.Add()([x, conv(bn_relu(y), 16, 3)])\n"
        "    return keras.Model(inputs, head(x, 10))\n",
        "The trained network is a small ResNet.",
    ),
    _trained(
        "build-model-mobilenet",
        "    return keras.applications.MobileNetV2(\n"
        "        weights=None, input_shape=(32, 32, 3), classes=10, alpha=0.35\n    )\n",
        "The trained network is keras.applications' MobileNetV2.",
    ),
    _trained(
        "build-model-perceptron",
        "    inputs = keras.Input((32, 32, 3))\n"
        '    x = layers.Dense(64, activation="relu")(layers.Flatten()(inputs))\n'
        '    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))\n',
        "The trained network is a perceptron.",
    ),
    _trained(
        "build-model-plain-cnn",
        "    x = inputs = keras.Input((32, 32, 3))\n"
        "    for filters in (32, 64, 128):\n"
        '        x = layers.Conv2D(filters, 3, activation="relu", padding="same")(x)\n'
        "        x = layers.MaxPooling2D(2)(x)\n"
        "    return keras.Model(inputs, head(x, 10))\n",
        "The trained network is a plain convolutional network.",
    ),
    _trained(
        "build-model-20-classes",
        "    return build_densenet(depth=22, growth_rate=12, num_classes=20)\n",
        "The trained network has 20 classes.",
        "network-shape",
    ),
    _trained(
        "build-model-other-input",
        "    return build_densenet(depth=22, growth_rate=12, input_shape=(64, 64, 3))\n",
        "The trained network takes images of 64x64.",
        "network-shape",
    ),
    _trained(
        "build-model-extra-dense",
        "    model = build_densenet(depth=22, growth_rate=12)\n"
        '    outputs = layers.Dense(10, activation="softmax")(model.output)\n'
        "    return keras.Model(model.input, outputs)\n",
        "A second classifier stands on the trained network's softmax.",
        "head",
    ),
    _trained(
        "build-model-cut-short",
        "    model = build_densenet(depth=22, growth_rate=12)\n"
        "    last = [l for l in model.layers if isinstance(l, layers.AveragePooling2D)][-1]\n"
        "    return keras.Model(model.input, head(last.output, 10))\n",
        "The trained network lacks its third block.",
    ),
    _trained(
        "build-model-frozen",
        "    model = build_densenet(depth=22, growth_rate=12)\n"
        "    model.trainable = False\n"
        "    return model\n",
        "The trained network is frozen as a whole.",
        "training-behaviour",
    ),
    _trained(
        "build-model-frozen-but-for-the-head",
        "    model = build_densenet(depth=22, growth_rate=12)\n"
        "    for layer in model.layers[:-1]:\n"
        "        layer.trainable = False\n"
        "    return model\n",
        "All of the trained network but its classifier is frozen.",
        "training-behaviour",
    ),
    _trained(
        "build-model-ensemble",
        "    inputs = keras.Input((32, 32, 3))\n"
        "    models = [build_densenet(depth=22, growth_rate=12) for _ in range(2)]\n"
        "    return keras.Model(inputs, layers.Average()([model(inputs) for model in models]))\n",
        "The trained network is the mean of two DenseNets.",
    ),
    _trained(
        "build-model-flip-averaged",
        "    inputs = keras.Input((32, 32, 3))\n"
        "    model = build_densenet(depth=22, growth_rate=12)\n"
        "    both = [model(inputs), model(ops.flip(inputs, axis=2))]\n"
        "    return keras.Model(inputs, layers.Average()(both))\n",
        "The trained network averages over the image and its mirror image: same count.",
        "own-weights",
        "foreign-ops",
    ),
    _trained(
        "build-model-other-order",
        "    x = inputs = keras.Input((32, 32, 3))\n"
        "    x = conv(x, 24, 3)\n"
        "    for block in (1, 2, 3):\n"
        "        for _ in range(3):\n"
        "            y = bn_relu(conv(x, 48, 1))\n"
        "            x = join([x, bn_relu(conv(y, 12, 3))])\n"
        "        x = transition(x) if block < 3 else x\n"
        "    return keras.Model(inputs, head(x, 10))\n",
        "Only the trained network has convolution, BN, ReLU.",
        "composite-function",
        where="layer",
    ),
    _trained(
        "build-model-chain",
        "    x = inputs = keras.Input((32, 32, 3))\n"
        "    x = conv(x, 24, 3)\n"
        "    for block in (1, 2, 3):\n"
        "        for _ in range(3):\n"
        "            x = dense_layer(x, 12, True, 0.0)\n"
        "        x = transition(x) if block < 3 else x\n"
        "    return keras.Model(inputs, head(x, 10))\n",
        "Only the trained network is a chain without links.",
        "dense-connectivity",
        where="block 1",
    ),
)

_SHARED = {"own-weights"}


def _shared(
    name: str, kills: set[str], why: str, *edits: Edit, where: str = "", define: str = ""
) -> Mutant:
    return _network(name, _SHARED | kills, why, *edits, where=where, define=define)


_LAYER_LOOP = "    for layer in range(1, num_layers + 1):\n"
_OWN_LAYER = "        new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)\n"


def _layer_of_parts(bn: str, conv2: str) -> str:
    """A dense layer whose second BN and convolution are the given ones where bottlenecks are."""
    return (
        "        if bottleneck:\n"
        "            new = conv(bn_relu(seen), 4 * growth_rate, 1)\n"
        f"            new = {conv2}(layers.ReLU()({bn}(new)))\n"
        "        else:\n"
        f"    {_OWN_LAYER}"
    )


_OWN_CONV = 'layers.Conv2D(growth_rate, 3, padding="same", use_bias=False)'
_TWICE = '''\
def dense_block_with(conv2, x, num_layers, growth_rate, bottleneck):
    """A dense block whose last layer convolves with a given layer."""
    features = [x]
    for layer in range(1, num_layers + 1):
        seen = join(features)
        if layer == num_layers:
            seen = conv(bn_relu(seen), 4 * growth_rate, 1)
            features.append(conv2(bn_relu(seen)))
        else:
            features.append(dense_layer(seen, growth_rate, bottleneck, 0.0))
    return join(features)
'''

SHARED = (
    _shared(
        "shared-3x3-in-block",
        {"parameter-count-block"},
        "All layers of a block use one 3x3 convolution.",
        (_LAYER_LOOP, f"    conv2 = {_OWN_CONV}\n{_LAYER_LOOP}"),
        (_OWN_LAYER, _layer_of_parts("layers.BatchNormalization()", "conv2")),
        where="dense_block",
    ),
    _shared(
        "shared-second-bn-in-block",
        {"parameter-count-block"},
        "All layers of a block use one BN before their 3x3 convolution.",
        (_LAYER_LOOP, f"    bn = layers.BatchNormalization()\n{_LAYER_LOOP}"),
        (_OWN_LAYER, _layer_of_parts("bn", _OWN_CONV)),
        where="dense_block",
    ),
    _shared(
        "shared-second-half-in-block",
        {"parameter-count-block"},
        "All layers of a block use one BN and one 3x3 convolution.",
        (
            _LAYER_LOOP,
            f"    bn, conv2 = layers.BatchNormalization(), {_OWN_CONV}\n{_LAYER_LOOP}",
        ),
        (_OWN_LAYER, _layer_of_parts("bn", "conv2")),
        where="dense_block",
    ),
    _shared(
        "shared-3x3-of-layers-2-and-3",
        {"parameter-count-block"},
        "The second and the third layer use one 3x3 convolution.",
        (
            _LAYER_LOOP,
            f"    one = {_OWN_CONV}\n{_LAYER_LOOP}"
            f"        conv2 = one if layer in (2, 3) else {_OWN_CONV}\n",
        ),
        (_OWN_LAYER, _layer_of_parts("layers.BatchNormalization()", "conv2")),
        where="layer",
    ),
    _shared(
        "shared-bn-of-layers-1-and-2",
        {"parameter-count-block"},
        "The first and the second layer use one BN before their 3x3 convolution.",
        (
            _LAYER_LOOP,
            f"    one = layers.BatchNormalization()\n{_LAYER_LOOP}"
            "        bn = one if layer < 3 else layers.BatchNormalization()\n",
        ),
        (_OWN_LAYER, _layer_of_parts("bn", _OWN_CONV)),
        where="layer",
    ),
    _shared(
        "shared-bn-between-layer-and-output",
        {"parameter-count-block", "composite-function"},
        "BN of the block input is made once and used in all layers, with a BN for the rest.",
        ("    features = [x]\n", "    first = layers.BatchNormalization()\n    features = [x]\n"),
        (
            _OWN_LAYER,
            "        rest = features[1:]\n"
            "        seen = [first(x)] + [layers.BatchNormalization()(f) for f in rest]\n"
            "        new = layers.ReLU()(join(seen))\n"
            "        if bottleneck:\n"
            "            new = bn_relu(conv(new, 4 * growth_rate, 1))\n"
            "        new = conv(new, growth_rate, 3)\n",
        ),
        where="dense_block",
    ),
    _shared(
        "shared-bn-per-feature",
        {"parameter-count-block"},
        "Each piece is normalised once, when it is made, by one BN that all later layers share.",
        (
            "        seen = join(features)\n",
            "        pieces.append(bn_relu(features[-1]))\n        seen = join(pieces)\n",
        ),
        ("    features = [x]\n", "    features = [x]\n    pieces = []\n"),
        (
            _OWN_LAYER,
            "        new = bn_relu(conv(seen, 4 * growth_rate, 1)) if bottleneck else seen\n"
            "        new = conv(new, growth_rate, 3)\n",
        ),
        where="dense_block",
    ),
    _shared(
        "shared-3x3-between-blocks",
        {"parameter-count-network"},
        "The last layers of all blocks use one 3x3 convolution.",
        (_LOOP_START, f"    one = {_OWN_CONV}\n{_LOOP_START}"),
        (
            f"        {BLOCK}\n",
            "        if bottleneck:\n"
            "            x = dense_block_with(one, x, num_layers, growth_rate, bottleneck)\n"
            "        else:\n"
            f"            {BLOCK}\n",
        ),
        where="block 2",
        define=_TWICE,
    ),
    _shared(
        "shared-kernel-transposed",
        {"parameter-count-block", "foreign-ops"},
        "The second layer's 3x3 kernel is the first one's, turned upside down.",
        (_LAYER_LOOP, f"    first = TurnedConv(growth_rate)\n{_LAYER_LOOP}"),
        (
            _OWN_LAYER,
            "        if layer < 3:\n"
            "            new = conv(bn_relu(seen), 4 * growth_rate, 1) if bottleneck else "
            "conv(bn_relu(seen), growth_rate, 1)\n"
            "            new = first(bn_relu(new), turned=layer == 2)\n"
            "        else:\n"
            f"    {_OWN_LAYER}",
        ),
        where="layer",
        define='''class TurnedConv(layers.Layer):
    """A 3x3 convolution that can be called with its kernel upside down."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], self.filters))

    def call(self, x, turned=False):
        kernel = ops.flip(self.kernel, axis=0) if turned else self.kernel
        return ops.conv(x, kernel, padding="same")
''',
    ),
    _shared(
        "shared-weights-and-decoration",
        {"foreign-ops", "parameter-count-block", "dense-connectivity"},
        "One 3x3 convolution for a block, the missing weights made up by an unused variable.",
        (
            _LAYER_LOOP,
            f"    conv2 = {_OWN_CONV}\n"
            "    missing = (num_layers - 1) * 36 * growth_rate * growth_rate\n"
            "    x = Decoration(missing)(x) if bottleneck else x\n"
            f"    features = [x]\n{_LAYER_LOOP}",
        ),
        (_OWN_LAYER, _layer_of_parts("layers.BatchNormalization()", "conv2")),
        define='''class Decoration(layers.Layer):
    """The identity, with weights that nothing uses."""

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def build(self, shape):
        self.unused = self.add_weight(shape=(self.count,))

    def call(self, x):
        return x
''',
    ),
    _shared(
        "shared-stem",
        {"stem", "dense-connectivity", "foreign-ops", "build-model"},
        "The stem is applied to the image and to its mirror image, and the two are added.",
        (
            STEM,
            '    first = layers.Conv2D(stem, 3, padding="same", use_bias=False)\n'
            "    x = layers.Add()([first(inputs), first(ops.flip(inputs, axis=2))])\n",
        ),
        where="stem",
    ),
    _shared(
        "shared-layer-applied-twice",
        {"dense-connectivity", "composite-function", "block-structure"},
        "A second 3x3 convolution is applied twice in a row in every layer, weights shared.",
        (
            "    return composite(x, growth_rate, 3, dropout_rate)\n",
            "    x = bn_relu(x)\n"
            "    once = conv(x, growth_rate, 3)\n"
            f"    again = {_OWN_CONV}\n"
            "    return again(layers.ReLU()(again(once)))\n",
        ),
        where="dense_block",
    ),
)


def _mode(name: str, why: str, *edits: Edit, where: str = "", define: str = "") -> Mutant:
    """A network that is right in one mode at most."""
    return _network(
        name,
        {"training-behaviour", "foreign-ops", "composite-function", "dense-connectivity"},
        why,
        *edits,
        where=where,
        define=define,
    )


_LAST = "    return composite(x, growth_rate, 3, dropout_rate)\n"
_LAST_MODE = "    return {}(composite(x, growth_rate, 3, dropout_rate))\n"

MODES = (
    _mode(
        "dropout-at-inference",
        "Dropout is active at inference.",
        (
            "return layers.Dropout(dropout_rate)(x) if dropout_rate else x",
            "return layers.Dropout(0.2)(x, training=True)",
        ),
        where="dense_block",
    ),
    _mode(
        "dropout-at-inference-when-asked-for",
        "Dropout is active at inference, where there is any.",
        (
            "return layers.Dropout(dropout_rate)(x) if",
            "return layers.Dropout(dropout_rate)(x, training=True) if",
        ),
        ("depth=22, growth_rate=12)", "depth=22, growth_rate=12, dropout_rate=0.2)"),
    ),
    _mode(
        "noise-at-inference",
        "Gaussian noise is added to new maps in both modes.",
        (
            _LAST,
            _LAST_MODE.format("layers.GaussianNoise(0.1, seed=1)").replace(
                "))\n", "), training=True)\n"
            ),
        ),
        where="dense_block",
    ),
    _mode(
        "gradient-stopped-in-layers",
        "No gradient passes the 1x1 convolution: the same values, another training.",
        (_LAST, "    return composite(ops.stop_gradient(x), growth_rate, 3, dropout_rate)\n"),
        where="dense_block",
    ),
    _mode(
        "gradient-stopped-before-head",
        "Only the head is trained: no gradient passes into the last block.",
        (HEAD, "    x = ops.stop_gradient(x)\n" + HEAD),
        where="head",
    ),
    _mode(
        "convolutions-frozen",
        "The dense layers' 3x3 convolutions are frozen at their random start.",
        (
            _LAST,
            "    x = bn_relu(x)\n"
            "    frozen = layers.Conv2D(\n"
            '        growth_rate, 3, padding="same", use_bias=False, trainable=False\n'
            "    )\n"
            "    return frozen(x)\n",
        ),
        where="dense_block",
    ),
    Mutant(
        "layer-2-softmax-between-convolutions",
        kills={"foreign-ops"},
        where="layer 2",
        why="A softmax over the channels stands behind the bottleneck of the second layer.",
        replace=[in_layer("layer == 2")],
        define=odd_layer(
            first="        x = layers.Softmax()(conv(bn_relu(x), 4 * growth_rate, 1))\n"
        ),
    ),
    Mutant(
        "layer-2-convolution-in-a-lambda",
        kills={"own-weights", "parameter-count-block"},
        where="layer 2",
        why="The second layer's 3x3 convolution lives in a Lambda, where Keras does not find it.",
        replace=[in_layer("layer == 2")],
        define=odd_layer(
            second="    hidden = layers.Conv2D(growth_rate, 3, padding='same', use_bias=False)\n"
            "    hidden.build(x.shape)\n"
            "    x = layers.Lambda(lambda maps: hidden(maps))(bn_relu(x))\n"
        ),
    ),
    _mode(
        "layer-2-convolution-frozen",
        "The second layer's 3x3 convolution is frozen.",
        in_layer("layer == 2"),
        where="layer 2",
        define=odd_layer(
            second="    frozen = layers.Conv2D(\n"
            '        growth_rate, 3, padding="same", use_bias=False, trainable=False\n'
            "    )\n"
            "    x = frozen(bn_relu(x))\n"
        ),
    ),
    _mode(
        "layers-off-at-inference",
        "New maps are zero at inference.",
        (_LAST, _LAST_MODE.format("OnlyInTraining()")),
        where="dense_block",
        define='''class OnlyInTraining(layers.Layer):
    """The identity in training, zero at inference."""

    def call(self, x, training=False):
        return x if training else ops.zeros_like(x)
''',
    ),
    _mode(
        "layers-off-in-training",
        "New maps are zero in training.",
        (_LAST, _LAST_MODE.format("OnlyAtInference()")),
        where="dense_block",
        define='''class OnlyAtInference(layers.Layer):
    """Zero in training, the identity at inference."""

    def call(self, x, training=False):
        return ops.zeros_like(x) if training else x
''',
    ),
    _mode(
        "maps-doubled-in-training",
        "New maps are doubled in training.",
        (_LAST, _LAST_MODE.format("DoubledInTraining()")),
        where="dense_block",
        define='''class DoubledInTraining(layers.Layer):
    """Twice the maps in training, the identity at inference."""

    def call(self, x, training=False):
        return 2.0 * x if training else x
''',
    ),
    _mode(
        "relu6-in-training-only",
        "ReLU is cut off at 6 in training.",
        ("    return layers.ReLU()(x)\n", "    return TrainingReLU6()(x)\n"),
        where="dense_block",
        define='''class TrainingReLU6(layers.Layer):
    """ReLU6 in training, ReLU at inference."""

    def call(self, x, training=False):
        return ops.relu6(x) if training else ops.relu(x)
''',
    ),
    _mode(
        "gradient-reversed",
        "The gradient of the links changes its sign.",
        ("        features.append(new)\n", "        features.append(Reversed()(new))\n"),
        where="dense_block",
        define='''class Reversed(layers.Layer):
    """The identity; its gradient is negated."""

    def call(self, x):
        return 2.0 * ops.stop_gradient(x) - x
''',
    ),
    _mode(
        "gradient-scaled",
        "The gradient into each layer is a tenth of what it should be.",
        ("        features.append(new)\n", "        features.append(Slowed()(new))\n"),
        where="dense_block",
        define='''class Slowed(layers.Layer):
    """The identity; its gradient is a tenth."""

    def call(self, x):
        return 0.9 * ops.stop_gradient(x) + 0.1 * x
''',
    ),
    _mode(
        "pad-and-random-crop-inside",
        "Padding and RandomCrop inside: at inference the padded 40x40 map goes through.",
        (
            STEM,
            "    x = layers.RandomCrop(*input_shape[:2])(layers.ZeroPadding2D(4)(inputs))\n"
            "    x = conv(x, stem, 3)\n",
        ),
        where="stem",
    ),
    _mode(
        "random-flip-at-inference",
        "Random flips in both modes.",
        (
            STEM,
            '    x = layers.RandomFlip("horizontal", seed=1)(inputs, training=True)\n'
            "    x = conv(x, stem, 3)\n",
        ),
        where="stem",
    ),
)

_MODED = '''\
class BatchNormRelu(layers.Layer):
    """BN and ReLU with the mode of BN written out."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.bn = layers.BatchNormalization()

    def call(self, x, training=None):
        return ops.relu(self.bn(x, training=MODE))


def bn_relu(x):
    """Batch normalisation, then ReLU."""
    return BatchNormRelu()(x)
'''

MODES_IN_LAYERS = tuple(
    _mode(
        f"layer-bn-hard-wired-to-{name}",
        f"Inside a layer of its own, BN is called with training={mode} in both modes.",
        where="dense_block",
        define=_MODED.replace("MODE", mode),
    )
    for name, mode in (
        ("training", "True"),
        ("inference", "False"),
        ("the-contrary", "not training"),
    )
)

EXTRAS = (
    _network(
        "unused-branch-times-zero",
        {"foreign-ops", "dense-connectivity", "parameter-count-block"},
        "A convolution of the block input, times zero, is added to each layer.",
        (_LAST, _LAST_MODE.format("with_nothing").replace("with_nothing(", "with_nothing(x, ")),
        where="dense_block",
        define='''def with_nothing(x, new):
    """The maps plus zero times a convolution."""
    return new + 0.0 * conv(x, new.shape[-1], 1)
''',
    ),
    _network(
        "resnet-with-dense-branch-times-zero",
        {"foreign-ops", "dense-connectivity", "build-model", "block-structure", "head"},
        "The network is a perceptron; the DenseNet beside it is multiplied by zero.",
        (
            "    outputs = head(x, num_classes)\n",
            "    other = layers.Dense(num_classes)(layers.Flatten()(inputs))\n"
            "    outputs = head(x, num_classes) * 0.0 + ops.softmax(other)\n",
        ),
    ),
    _network(
        "decorated-to-the-right-count",
        {"foreign-ops", "bottleneck", "parameter-count-block", "dense-connectivity"},
        "Bottlenecks of 2k, and unused weights that make up the count exactly.",
        (
            "        x = composite(x, 4 * growth_rate, 1, dropout_rate)\n",
            "        missing = 2 * growth_rate * (x.shape[-1] + 2 + 9 * growth_rate)\n"
            "        x = composite(x, 2 * growth_rate, 1, dropout_rate)\n"
            "        x = Decoration(missing, 4 * growth_rate)(x)\n",
        ),
        where="dense_block",
        define='''class Decoration(layers.Layer):
    """The identity, with weights that nothing uses."""

    def __init__(self, count, fixed, **kwargs):
        super().__init__(**kwargs)
        self.count = count
        self.fixed = fixed

    def build(self, shape):
        self.unused = self.add_weight(shape=(self.count,))
        self.statistics = self.add_weight(shape=(self.fixed,), trainable=False)

    def call(self, x):
        return x
''',
    ),
    _network(
        "transition-bn-replaced-by-decoration",
        {"foreign-ops", "transition-layer", "parameter-count-transition"},
        "No BN in transitions, and unused weights that make up the count exactly.",
        (
            "    x = bn_relu(x)\n    x = conv(x, filters, 1)\n",
            "    x = conv(Decoration()(layers.ReLU()(x)), filters, 1)\n",
        ),
        where="transition",
        define='''class Decoration(layers.Layer):
    """The identity, with the weights of a BN that nothing uses."""

    def build(self, shape):
        for trainable in (True, True, False, False):
            self.add_weight(shape=(shape[-1],), trainable=trainable)

    def call(self, x):
        return x
''',
    ),
    _network(
        "links-chosen-by-weights",
        {"foreign-ops", "dense-connectivity", "parameter-count-block"},
        "Each layer's input is weighted by a learned softmax over its links.",
        (
            "        seen = join(features)\n",
            "        seen = Attention()(join(features))\n",
        ),
        where="dense_block",
        define='''class Attention(layers.Layer):
    """Learned weights over the channels."""

    def build(self, shape):
        self.logits = self.add_weight(shape=(shape[-1],), initializer="zeros")

    def call(self, x):
        return x * ops.softmax(self.logits)
''',
    ),
    _network(
        "spatial-attention",
        {"foreign-ops", "dense-connectivity", "composite-function", "parameter-count-block"},
        "New maps are multiplied by a learned spatial mask.",
        (_LAST, _LAST_MODE.format("masked")),
        where="dense_block",
        define='''def masked(x):
    """Spatial attention."""
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    return layers.Multiply()([x, mask])
''',
    ),
    _network(
        "constant-added",
        {"foreign-ops", "dense-connectivity", "composite-function"},
        "0.1 is added to new maps.",
        ("        features.append(new)\n", "        features.append(new + 0.1)\n"),
        where="dense_block",
    ),
    _network(
        "new-maps-halved",
        {"foreign-ops", "dense-connectivity", "composite-function"},
        "New maps are halved.",
        ("        features.append(new)\n", "        features.append(0.5 * new)\n"),
        where="dense_block",
    ),
    _network(
        "new-maps-zero",
        {"foreign-ops", "dense-connectivity", "block-structure"},
        "The last layer's maps are multiplied by zero: same shape and count.",
        (
            "        features.append(new)\n",
            "        features.append(new * 0.0 if layer == num_layers else new)\n",
        ),
        where="layer",
    ),
    _network(
        "last-layer-replaced-by-copy",
        {"dense-connectivity", "block-structure", "foreign-ops"},
        "Layer 2's maps are made and thrown away; layer 1's stand in their place.",
        (
            "        features.append(new)\n",
            "        features.append(features[1] if layer == 2 else new)\n",
        ),
        where="layer 2",
    ),
    _network(
        "block-cropped-and-padded",
        {"foreign-ops", "dense-connectivity", "block-structure"},
        "The block's border is cropped off and padded with zeros: same shape and count.",
        (
            OUT,
            OUT.replace(
                "join(features)",
                "layers.ZeroPadding2D(1)(layers.Cropping2D(1)(join(features)))",
            ),
        ),
        where="dense_block",
    ),
    _network(
        "maps-mean-centred-per-image",
        {"foreign-ops", "composite-function", "dense-connectivity"},
        "Each image's mean is subtracted from new maps: same shape and count.",
        (
            "        features.append(new)\n",
            "        features.append(new - ops.mean(new, (1, 2), keepdims=True))\n",
        ),
        where="dense_block",
    ),
    _network(
        "maps-sorted",
        {"foreign-ops", "composite-function", "dense-connectivity"},
        "The channels of new maps are sorted by value: same shape and count.",
        ("        features.append(new)\n", "        features.append(ops.sort(new, axis=-1))\n"),
        where="dense_block",
    ),
    _network(
        "batch-mixed",
        {"foreign-ops", "composite-function", "dense-connectivity"},
        "New maps of one image go to the next image of the batch.",
        ("        features.append(new)\n", "        features.append(ops.roll(new, 1, axis=0))\n"),
        where="dense_block",
    ),
    _network(
        "channel-shuffle",
        {"foreign-ops", "composite-function", "bottleneck"},
        "Grouped 1x1 convolutions and a channel shuffle, as in ShuffleNet.",
        (
            "        x = composite(x, 4 * growth_rate, 1, dropout_rate)\n",
            "        x = layers.Conv2D(\n"
            "            4 * growth_rate, 1, use_bias=False,"
            " groups=math.gcd(4 * growth_rate, x.shape[-1])\n"
            "        )(bn_relu(x))\n"
            "        shape = (*x.shape[1:3], 4, growth_rate)\n"
            "        x = ops.swapaxes(layers.Reshape(shape)(x), 3, 4)\n"
            "        x = layers.Reshape((*shape[:2], 4 * growth_rate))(x)\n",
        ),
        where="dense_block",
    ),
    _network(
        "deep-supervision",
        {"module-contract", "head", "block-structure", "network-shape"},
        "A second classifier after the first block, averaged with the last one.",
        (
            "    outputs = head(x, num_classes)\n",
            "    early = layers.GlobalAveragePooling2D()(inputs)\n"
            '    early = layers.Dense(num_classes, activation="softmax")(early)\n'
            "    outputs = layers.Average()([head(x, num_classes), early])\n",
        ),
    ),
    _network(
        "network-of-addition-in-block-2",
        {"dense-connectivity", "foreign-ops", "block-structure"},
        "The second block is a residual block of the right width.",
        in_block("block == 2"),
        where="block 2",
        define=odd_block(
            "    x = conv(x, x.shape[-1] + num_layers * growth_rate, 1)\n"
            "    for _ in range(num_layers):\n"
            "        new = dense_layer(x, growth_rate, bottleneck, dropout_rate)\n"
            "        x = layers.Add()([x, conv(new, x.shape[-1], 1)])\n"
            "    return x\n"
        ),
    ),
)


def _broken(
    name: str, why: str, *edits: Edit, define: str = "", text: str = "", raises: bool = False
) -> Mutant:
    """A submission that does not keep the contract."""
    return Mutant(
        name,
        kills={
            "module-contract",
            "block-shape",
            "transition-shape",
            "network-shape",
            "build-model",
        },
        why=why,
        replace=edits,
        define=define,
        text=text,
        raises=raises,
    )


CONTRACTS = (
    _broken(
        "stub-dense-block",
        "dense_block is left as a stub that raises.",
        define="def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):\n"
        '    raise NotImplementedError("dense_block")\n',
        raises=True,
    ),
    _broken(
        "stub-transition",
        "transition is left as a stub that raises.",
        define="def transition(x, compression=0.5, dropout_rate=0.0):\n"
        '    raise NotImplementedError("transition")\n',
        raises=True,
    ),
    _broken(
        "dense-block-returns-nothing",
        "dense_block forgets to return.",
        (
            "        features.append(new)\n    return join(features)\n",
            "        features.append(new)\n",
        ),
        raises=True,
    ),
    _broken(
        "dense-block-returns-list",
        "dense_block returns the list of features, not their concatenation.",
        (OUT, OUT.replace("join(features)", "features")),
        raises=True,
    ),
    _broken(
        "dense-block-returns-its-width-too",
        "dense_block returns the maps and their number, as older public code does.",
        (OUT, OUT.replace("join(features)", "join(features), x.shape[-1]")),
        raises=True,
    ),
    _broken(
        "build-densenet-returns-its-name-too",
        "build_densenet returns the network and a name for it.",
        (
            "    return keras.Model(inputs, outputs)\n",
            '    return keras.Model(inputs, outputs), "k"\n',
        ),
        raises=True,
    ),
    _broken(
        "dense-block-returns-its-input",
        "dense_block returns its input.",
        (OUT, OUT.replace("join(features)", "x")),
        raises=True,
    ),
    _broken(
        "transition-returns-its-input",
        "transition returns its input.",
        ("    return layers.AveragePooling2D(2)(x)\n", "    return x\n"),
        ("    x = bn_relu(x)\n    x = conv(x, filters, 1)\n", ""),
    ),
    _broken(
        "transition-missing",
        "There is no function transition.",
        ("def transition(x,", "def transition_layer(x,"),
        (TRANSITION, TRANSITION.replace("transition(", "transition_layer(")),
        raises=True,
    ),
    _broken(
        "dense-block-other-arguments",
        "dense_block takes its arguments under other names and in another order.",
        (
            "def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):",
            "def dense_block(x, growth_rate, num_layers, dropout_rate=0.0, bottleneck=True):",
        ),
    ),
    _broken(
        "syntax-error",
        "densenet.py is not Python.",
        text="def dense_block(x, num_layers, growth_rate:\n    return x\n",
        raises=True,
    ),
    _broken(
        "import-of-a-missing-module",
        "densenet.py imports a module that is not there.",
        ("import math\n", "import math\n\nimport helpers_i_forgot_to_hand_in\n"),
        raises=True,
    ),
    _broken(
        "build-model-returns-nothing",
        "build_model forgets to return.",
        (_BUILD_MODEL, "    build_densenet(depth=22, growth_rate=12)\n"),
        raises=True,
    ),
    _broken(
        "raw-tf-on-keras-tensors",
        "tf.concat on symbolic Keras tensors, which Keras 3 refuses.",
        ("layers.Concatenate()(features)", "tf.concat(features, axis=-1)"),
        ("import math\n", "import math\n\nimport tensorflow as tf\n"),
        raises=True,
    ),
    _broken(
        "average-pooling-without-pool-size",
        "AveragePooling2D() without pool_size, which Keras 3 refuses.",
        ("layers.AveragePooling2D(2)(x)", "layers.AveragePooling2D()(x)"),
        raises=True,
    ),
)

_INLINE = '''\
def right_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    """The paper's block, in a function that is not asked for."""
    for _ in range(num_layers):
        x = join([x, dense_layer(x, growth_rate, bottleneck, dropout_rate)])
    return x


def right_transition(x, compression=0.5, dropout_rate=0.0):
    """The paper's transition, in a function that is not asked for."""
    x = conv(bn_relu(x), math.floor(compression * x.shape[-1]), 1)
    return layers.AveragePooling2D(2)(drop(x, dropout_rate))
'''
_USE_RIGHT_BLOCK = (BLOCK, BLOCK.replace("dense_block", "right_block"))
_USE_RIGHT_TRANSITION = (TRANSITION, TRANSITION.replace("= transition", "= right_transition"))
_IN_BLOCK = {"dense-connectivity", "composite-function", "parameter-count-block", "foreign-ops"}

APART = (
    _network(
        "only-dense-block-function-chain",
        _IN_BLOCK,
        "The network is right, the function dense_block is a chain the network does not use.",
        ("        seen = join(features)\n", "        seen = features[-1]\n"),
        _USE_RIGHT_BLOCK,
        where="dense_block",
        define=_INLINE,
    ),
    _network(
        "only-dense-block-function-link-doubled",
        _IN_BLOCK,
        "The network is right, the function dense_block takes layer 2 for layer 1 in layer 3.",
        (
            "        seen = join(features)\n",
            "        order = (0, 2, 2) if layer == 3 else range(layer)\n"
            "        seen = join([features[i] for i in order])\n",
        ),
        _USE_RIGHT_BLOCK,
        where="dense_block, layer 3",
        define=_INLINE,
    ),
    _network(
        "only-dense-block-function-activates",
        _IN_BLOCK,
        "The network is right, the function dense_block activates what it concatenates.",
        ("        features.append(new)\n", "        features.append(ops.relu(new))\n"),
        _USE_RIGHT_BLOCK,
        where="dense_block",
        define=_INLINE,
    ),
    _network(
        "only-transition-function-max-pooling",
        {"transition-layer"},
        "The network is right, the function transition pools by the maximum.",
        ("    return layers.AveragePooling2D(2)(x)\n", "    return layers.MaxPooling2D(2)(x)\n"),
        _USE_RIGHT_TRANSITION,
        where="transition",
        define=_INLINE,
    ),
    _network(
        "only-transition-function-bn-conv-relu",
        {"transition-layer"},
        "The network is right, the function transition is BN, convolution, ReLU.",
        (
            "    x = bn_relu(x)\n    x = conv(x, filters, 1)\n",
            "    x = layers.ReLU()(conv(layers.BatchNormalization()(x), filters, 1))\n",
        ),
        _USE_RIGHT_TRANSITION,
        where="transition",
        define=_INLINE,
    ),
    _network(
        "only-network-chain",
        _IN_BLOCK | {"parameter-count-network", "block-structure"},
        "dense_block is right, but the network uses a chain of its own.",
        in_block("True"),
        where="block 1",
        define=odd_block(
            "    for _ in range(num_layers):\n"
            "        x = dense_layer(x, growth_rate, bottleneck, dropout_rate)\n"
            "    return x\n"
        ),
    ),
    _network(
        "only-network-link-doubled",
        _IN_BLOCK,
        "dense_block is right, but the network's own blocks take layer 2 for layer 1 in layer 3.",
        in_block("True"),
        where="layer 3",
        define=odd_block(
            "    features = [x]\n"
            "    for layer in range(1, num_layers + 1):\n"
            "        seen = [x, features[2], features[2]] if layer == 3 else features\n"
            "        seen = join(seen)\n"
            "        features.append(dense_layer(seen, growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features)\n"
        ),
    ),
    _network(
        "only-network-strided-transitions",
        {"transition-layer"},
        "transition is right, but the network's own transitions are strided convolutions.",
        (TRANSITION, TRANSITION.replace("= transition", "= strided")),
        where="transition 1",
        define='''def strided(x, compression, dropout_rate):
    """A 1x1 convolution with stride 2."""
    filters = math.floor(compression * x.shape[-1])
    return layers.Conv2D(filters, 1, strides=2, use_bias=False)(bn_relu(x))
''',
    ),
    _network(
        "only-network-plain",
        _IN_BLOCK | {"parameter-count-network", "block-structure"},
        "The functions are right, the network is a plain convolutional one that ignores them.",
        (BLOCK, "x = conv(bn_relu(x), x.shape[-1] + num_layers * growth_rate, 3)"),
    ),
    _network(
        "network-keras-applications",
        {"block-structure", "stem", "network-shape", "parameter-count-network", "build-model"},
        "build_densenet gives keras.applications' DenseNet121 for any configuration.",
        define='''def build_densenet(
    depth=40,
    growth_rate=12,
    compression=0.5,
    bottleneck=True,
    num_classes=10,
    input_shape=(32, 32, 3),
    dropout_rate=0.0,
):
    """DenseNet-121."""
    inputs = keras.Input(input_shape)
    x = inputs if input_shape[0] >= 32 else layers.UpSampling2D(4)(inputs)
    base = keras.applications.DenseNet121(
        include_top=False, weights=None, input_shape=x.shape[1:], pooling="avg"
    )
    outputs = layers.Dense(num_classes, activation="softmax")(base(x))
    return keras.Model(inputs, outputs)
''',
    ),
)

_WHEN = "    features = [x]\n"

CONDITIONAL = (
    _mode(
        "bn-hard-wired-to-inference-with-dropout",
        "With dropout the dense layers' BN keeps its moving statistics in training.",
        (
            "    x = bn_relu(x)\n    x = conv(x, filters, kernel_size)\n",
            "    written = {'training': False} if dropout_rate else {}\n"
            "    x = layers.ReLU()(layers.BatchNormalization()(x, **written))\n"
            "    x = conv(x, filters, kernel_size)\n",
        ),
        where="layer 1",
    ),
    _network(
        "bn-missing-with-dropout",
        {"composite-function", "training-behaviour", "parameter-count-block"},
        "With dropout there is no BN in the dense layers.",
        (
            "    x = bn_relu(x)\n    x = conv(x, filters, kernel_size)\n",
            "    x = layers.ReLU()(x) if dropout_rate else bn_relu(x)\n"
            "    x = conv(x, filters, kernel_size)\n",
        ),
        ("depth=22, growth_rate=12)", "depth=22, growth_rate=12, dropout_rate=0.1)"),
    ),
    _network(
        "links-lost-after-the-fourth-layer",
        {"dense-connectivity", "parameter-count-block", "parameter-count-network"},
        "Each layer sees the block input and the last four outputs only.",
        (
            "        seen = join(features)\n",
            "        seen = join(features[:1] + features[1:][-4:])\n",
        ),
        where="layer 6",
    ),
    _network(
        "order-wrong-for-odd-growth",
        {"composite-function"},
        "For an odd k the layers are convolution, BN, ReLU.",
        in_layer("growth_rate % 2"),
        where="dense_block",
        define=odd_layer(second="    x = bn_relu(conv(x, growth_rate, 3))\n"),
    ),
    _network(
        "links-lost-for-other-k-than-12",
        {"dense-connectivity", "parameter-count-block"},
        "For k other than 12 each layer sees only the last output.",
        (
            "        seen = join(features)\n",
            "        seen = join(features if growth_rate == 12 else features[-1:])\n",
        ),
        where="dense_block",
    ),
    _network(
        "pooling-wrong-for-small-maps",
        {"transition-layer"},
        "Maps of 16x16 and smaller are max-pooled.",
        (
            "    return layers.AveragePooling2D(2)(x)\n",
            "    if x.shape[1] <= 16:\n"
            "        return layers.MaxPooling2D(2)(x)\n"
            "    return layers.AveragePooling2D(2)(x)\n",
        ),
        where="transition",
    ),
    _network(
        "transition-floor-of-even-widths-only",
        {"transition-layer", "transition-shape", "parameter-count-transition"},
        "An odd number of maps is rounded up.",
        (
            "math.floor(compression * x.shape[-1])",
            "math.floor(compression * (x.shape[-1] + x.shape[-1] % 2))",
        ),
        where="transition",
    ),
    _network(
        "by-input-values",
        {"foreign-ops", "composite-function", "dense-connectivity"},
        "New maps are dropped where the mean of the input is negative.",
        (
            "        features.append(new)\n",
            "        new = ops.where(ops.mean(x, (1, 2, 3), keepdims=True) > 0, new, 0.0 * new)\n"
            "        features.append(new)\n",
        ),
        where="dense_block",
    ),
    _network(
        "by-batch-size",
        {"foreign-ops", "composite-function", "dense-connectivity"},
        "New maps are divided by the number of images in the batch.",
        (
            "        features.append(new)\n",
            "        features.append(PerBatch()(new))\n",
        ),
        where="dense_block",
        define='''class PerBatch(layers.Layer):
    """The maps divided by the number of images."""

    def call(self, x):
        return x / ops.cast(ops.shape(x)[0], x.dtype)
''',
    ),
)

_DENSE_LAYER = "        new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)\n"

RELATIVES = (
    _network(
        "bottleneck-maps-concatenated",
        {"growth", "block-shape", "parameter-count-block", "dense-connectivity"},
        "The bottleneck's 4k maps are concatenated as well.",
        (
            _DENSE_LAYER,
            "        if bottleneck:\n"
            "            features.append(conv(bn_relu(seen), 4 * growth_rate, 1))\n"
            "            seen = features[-1]\n"
            "        new = composite(seen, growth_rate, 3, dropout_rate)\n",
        ),
        where="dense_block",
    ),
    _network(
        "fusion-convolution-at-the-end",
        {"block-structure", "parameter-count-block", "dense-connectivity", "composite-function"},
        "A 1x1 convolution mixes the block's output, as in residual dense networks.",
        (
            OUT,
            OUT.replace(
                "    return join(features)",
                "    x = join(features)\n    return conv(x, x.shape[-1], 1)",
            ),
        ),
        where="dense_block",
    ),
    _network(
        "half-of-the-input-bypasses",
        {"dense-connectivity", "parameter-count-block"},
        "Half of the block input bypasses the layers, as in CSPNet.",
        (
            "    features = [x]\n",
            "    half = x.shape[-1] // 2\n    bypass, x = x[..., :half], x[..., half:]\n"
            "    features = [x]\n",
        ),
        (OUT, OUT.replace("join(features)", "join([bypass, *features])")),
        where="dense_block",
    ),
    _network(
        "gated-layers",
        {"foreign-ops", "dense-connectivity", "composite-function", "parameter-count-block"},
        "New maps are gated by a sigmoid of another convolution, as in highway networks.",
        (
            _DENSE_LAYER,
            _DENSE_LAYER + "        new = new * ops.sigmoid(conv(bn_relu(seen), growth_rate, 1))\n",
        ),
        where="dense_block",
    ),
    _network(
        "dual-path",
        {"foreign-ops", "dense-connectivity", "parameter-count-block", "composite-function"},
        "A residual and a dense path side by side, as in dual path networks.",
        (
            _DENSE_LAYER,
            _DENSE_LAYER
            + "        features[0] = layers.Add()([features[0], conv(new, x.shape[-1], 1)])\n",
        ),
        where="dense_block",
    ),
    _network(
        "multi-scale-layers",
        {"dense-connectivity", "composite-function", "parameter-count-block", "foreign-ops"},
        "Every layer's maps are made at half the resolution as well and added.",
        (
            _DENSE_LAYER,
            _DENSE_LAYER + "        small = layers.AveragePooling2D(2)(new)\n"
            "        new = new + layers.UpSampling2D(2)(small)\n",
        ),
        where="dense_block",
    ),
    _network(
        "transition-pool-stride-1-convolution-stride-2",
        {"transition-layer"},
        "The convolution has stride 2, the pooling stride 1: same shape and count.",
        (
            "    x = conv(x, filters, 1)\n",
            "    x = layers.Conv2D(filters, 1, strides=2, use_bias=False)(x)\n",
        ),
        (
            "    return layers.AveragePooling2D(2)(x)\n",
            '    return layers.AveragePooling2D(2, 1, padding="same")(x)\n',
        ),
        where="transition",
    ),
    _network(
        "head-mean-over-channels",
        {"head", "parameter-count-network"},
        "The mean is taken over the rows and the channels.",
        (
            "    x = layers.GlobalAveragePooling2D()(x)\n",
            "    x = ops.mean(x, axis=(1, 3))\n",
        ),
        where="head",
    ),
    _network(
        "positions-added",
        {"foreign-ops", "stem", "parameter-count-network"},
        "Learned positions are added after the stem.",
        (STEM, STEM + "    x = Positions()(x)\n"),
        where="stem",
        define='''class Positions(layers.Layer):
    """Learned position maps."""

    def build(self, shape):
        self.maps = self.add_weight(shape=shape[1:])

    def call(self, x):
        return x + self.maps
''',
    ),
    _network(
        "local-response-normalisation",
        {"foreign-ops", "composite-function"},
        "Local response normalisation after every ReLU.",
        ("    return layers.ReLU()(x)\n", "    return Response()(layers.ReLU()(x))\n"),
        where="dense_block",
        define='''import tensorflow as tf


class Response(layers.Layer):
    """AlexNet's normalisation."""

    def call(self, x):
        return tf.nn.local_response_normalization(x)
''',
    ),
)


WRONG_NETWORKS = (
    *STEMS,
    *STEM_WIDTHS,
    *HEADS,
    *STRUCTURES,
    *CONSTANTS,
    *BUILD_MODELS,
    *SHARED,
    *MODES,
    *MODES_IN_LAYERS,
    *EXTRAS,
    *CONTRACTS,
    *APART,
    *CONDITIONAL,
    *RELATIVES,
)

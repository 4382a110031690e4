"""Wrong dense connectivity: links missing, doubled, replaced or changed on their way."""

from grader.selftest.edits import BLOCK, NEW, OUT, SEEN, in_block, in_layer, odd_block
from grader.selftest.mutant import Mutant

_LINKS = {"dense-connectivity"}
_COUNTED = _LINKS | {"parameter-count-block", "growth"}


def _seen(
    name: str,
    features: str,
    why: str,
    where: str = "dense_block",
    counted: bool = True,
) -> Mutant:
    """Layers that are given other features than all of them.

    `features` is what is concatenated for a layer, an expression over `features`, `layer` and
    `num_layers`; `counted` says whether the number of parameters changes too.
    """
    return Mutant(
        name,
        kills=_COUNTED if counted else _LINKS,
        where=where,
        why=why,
        replace=[(SEEN, f"        seen = join({features})\n")],
    )


MISSING = (
    _seen("links-only-last", "features[-1:]", "A chain: each layer sees only the one before it."),
    _seen("links-only-last-two", "features[-2:]", "Each layer sees only the last two outputs."),
    _seen("links-only-last-three", "features[-3:]", "Each layer sees only the last three outputs."),
    _seen("links-only-input", "features[:1]", "All layers see only the block input."),
    _seen(
        "links-without-input",
        "features[1:] or features",
        "No layer but the first sees the block input.",
    ),
    _seen(
        "links-input-and-last",
        "features[:1] + features[1:][-1:]",
        "Each layer sees the block input and the last output only.",
    ),
    _seen(
        "links-every-other",
        "features[::-1][::2]",
        "Each layer sees every other earlier output.",
    ),
    _seen(
        "links-at-powers-of-two",
        "[features[-d] for d in (1, 2, 4, 8, 16) if d <= len(features)]",
        "Each layer sees the outputs 1, 2, 4, ... layers back, as in Log-DenseNet.",
    ),
    _seen(
        "layer-2-misses-input",
        "features[1:] if layer == 2 else features",
        "The second layer does not see the block input.",
        where="layer 2",
    ),
    _seen(
        "layer-3-misses-input",
        "features[1:] if layer == 3 else features",
        "The third layer does not see the block input.",
        where="layer 3",
    ),
    _seen(
        "layer-3-misses-layer-1",
        "features[:1] + features[2:] if layer == 3 else features",
        "The third layer does not see the first.",
        where="layer 3",
    ),
    _seen(
        "layer-3-misses-layer-2",
        "features[:2] if layer == 3 else features",
        "The third layer does not see the second.",
        where="layer 3",
    ),
    _seen(
        "last-layer-misses-the-one-before",
        "features[:-1] if layer == num_layers and layer > 1 else features",
        "The last layer of a block does not see the layer before it.",
        where="layer",
    ),
    _seen(
        "links-first-three-only",
        "features[:4]",
        "From the fifth layer on only the first three outputs are seen.",
        where="layer 5",
    ),
    Mutant(
        "block-2-layer-3-misses-layer-1",
        kills=_LINKS | {"parameter-count-network"},
        where="block 2, layer 3",
        why="One link of the network is missing: block 2, layer 3 does not see layer 1.",
        replace=[in_block("block == 2")],
        define=odd_block(
            "    features = [x]\n"
            "    for layer in range(1, num_layers + 1):\n"
            "        seen = join([f for i, f in enumerate(features) if (layer, i) != (3, 1)])\n"
            "        features.append(dense_layer(seen, growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features)\n"
        ),
    ),
    Mutant(
        "block-3-chain",
        kills=_LINKS | {"parameter-count-network"},
        where="block 3",
        why="The third block is a chain whose outputs are all concatenated at its end.",
        replace=[in_block("block == 3")],
        define=odd_block(
            "    features = [x]\n"
            "    for _ in range(num_layers):\n"
            "        features.append("
            "dense_layer(features[-1], growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features)\n"
        ),
    ),
)

DOUBLED = (
    _seen(
        "links-last-doubled",
        "features + features[1:][-1:]",
        "Every layer receives the last output twice.",
    ),
    _seen(
        "links-input-doubled",
        "features + features[:1]",
        "Every layer receives the block input twice.",
    ),
    _seen(
        "layer-3-layer-1-doubled",
        "features + features[1:2] if layer == 3 else features",
        "The third layer receives the first layer's maps twice.",
        where="layer 3",
    ),
    _seen(
        "layer-3-layer-2-for-layer-1",
        "[features[0], features[2], features[2]] if layer == 3 else features",
        "The third layer receives the second layer twice and the first not at all: same count.",
        where="layer 3",
        counted=False,
    ),
    _seen(
        "layer-3-layer-1-for-layer-2",
        "[features[0], features[1], features[1]] if layer == 3 else features",
        "The third layer receives the first layer twice and the second not at all: same count.",
        where="layer 3",
        counted=False,
    ),
    _seen(
        "last-layer-oldest-for-newest",
        "[*features[:-1], features[1]] if 2 < layer == num_layers else features",
        "The last layer receives the first layer's maps in place of the newest: same count.",
        where="layer",
        counted=False,
    ),
    _seen(
        "links-newest-in-every-place",
        "[features[0], *features[-1:] * (layer - 1)]",
        "Each layer receives the newest maps in every earlier layer's place: same count.",
        counted=False,
    ),
    Mutant(
        "links-concatenated-with-themselves",
        kills=_COUNTED | {"block-shape"},
        where="dense_block",
        why="Input and new maps are concatenated to a list that is not emptied: maps twice.",
        replace=[
            (
                NEW,
                "        features.append(layers.Concatenate()([features[-1], new]))\n",
            )
        ],
    ),
)

OUTPUT = (
    Mutant(
        "output-without-input",
        kills=_COUNTED | {"block-shape"},
        where="dense_block",
        why="The block input is not in the block's output.",
        replace=[(OUT, OUT.replace("join(features)", "join(features[1:])"))],
    ),
    Mutant(
        "output-only-last-layer",
        kills=_COUNTED | {"block-shape"},
        where="dense_block",
        why="The block gives only its last layer's maps.",
        replace=[(OUT, OUT.replace("join(features)", "features[-1]"))],
    ),
    Mutant(
        "output-without-last-layer",
        kills=_COUNTED | {"block-shape", "block-structure"},
        where="dense_block",
        why="The last layer's maps are not in the block's output.",
        replace=[(OUT, OUT.replace("join(features)", "join(features[:-1])"))],
    ),
    Mutant(
        "output-last-layer-for-first",
        kills=_LINKS,
        where="dense_block",
        why="The output has the last layer's maps in the place of the first's: same count.",
        replace=[(OUT, OUT.replace("join(features)", "join([x, features[-1], *features[2:]])"))],
    ),
    Mutant(
        "output-repeats-before-last",
        kills=_LINKS | {"block-structure", "foreign-ops"},
        where="dense_block",
        why="The output has the layer before the last twice; the last one leads nowhere.",
        replace=[
            (
                OUT,
                OUT.replace(
                    "join(features)",
                    "join([*features[:-1], features[-2] if num_layers > 1 else features[-1]])",
                ),
            )
        ],
    ),
    Mutant(
        "output-input-doubled",
        kills=_COUNTED | {"block-shape"},
        where="dense_block",
        why="The block input is in the block's output twice.",
        replace=[(OUT, OUT.replace("join(features)", "join([x, *features])"))],
    ),
    Mutant(
        "block-2-output-without-input",
        kills=_LINKS | {"parameter-count-network", "growth"},
        where="block 2",
        why="The second block's output lacks its input.",
        replace=[in_block("block == 2")],
        define=odd_block(
            "    features = [x]\n"
            "    for _ in range(num_layers):\n"
            "        seen = join(features)\n"
            "        features.append(dense_layer(seen, growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features[1:])\n"
        ),
    ),
)


ADDITION = (
    Mutant(
        "addition-for-concatenation",
        kills=_LINKS | {"block-shape", "foreign-ops", "growth"},
        where="dense_block",
        why="ResNet: the maps are added to a projected skip, not concatenated.",
        replace=[
            (
                OUT,
                "        old = features[-1]\n"
                "        if old.shape[-1] != growth_rate:\n"
                "            old = conv(old, growth_rate, 1)\n"
                "        features = [layers.Add()([old, new])]\n"
                "    return join(features)\n",
            )
        ],
    ),
    Mutant(
        "addition-widened-to-dense-shape",
        kills=_LINKS | {"foreign-ops", "parameter-count-block"},
        where="dense_block",
        why="New maps are concatenated with the last ones, which were added to: right shape.",
        replace=[
            (
                NEW,
                "        if layer > 1:\n"
                "            new = layers.Add()([new, features[-1]])\n" + NEW,
            )
        ],
    ),
    Mutant(
        "residual-over-each-layer",
        kills=_LINKS | {"foreign-ops"},
        where="dense_block",
        why="Each layer's maps are added to those of the first layer: same shape and count.",
        replace=[
            (
                NEW,
                "        if layer > 1:\n            new = ops.add(new, features[1])\n" + NEW,
            )
        ],
    ),
    Mutant(
        "layer-3-residual",
        kills=_LINKS | {"foreign-ops"},
        where="layer 3",
        why="The third layer's maps are added to the second's: same shape and count.",
        replace=[(NEW, "        if layer == 3:\n            new = new + features[2]\n" + NEW)],
    ),
    Mutant(
        "residual-over-the-block",
        kills=_LINKS | {"foreign-ops", "parameter-count-block"},
        where="dense_block",
        why="A projection of the block input is added to the block's output.",
        replace=[
            (
                OUT,
                "        features.append(new)\n"
                "    out = join(features)\n"
                "    return layers.Add()([out, conv(x, out.shape[-1], 1)])\n",
            )
        ],
    ),
    Mutant(
        "residual-on-the-input",
        kills=_LINKS | {"foreign-ops", "composite-function"},
        where="dense_block",
        why="All new maps are concatenated with the input doubled by an addition: same count.",
        replace=[("    features = [x]\n", "    features = [layers.Add()([x, x])]\n")],
    ),
    Mutant(
        "maximum-for-concatenation",
        kills=_LINKS | {"foreign-ops", "parameter-count-block"},
        where="layer 3",
        why="Each layer from the third on sees the maximum of earlier new maps.",
        replace=[
            (
                SEEN,
                "        new = features[1:]\n"
                "        new = [layers.Maximum()(new)] if len(new) > 1 else new\n"
                "        seen = join(features[:1] + new)\n",
            )
        ],
    ),
    Mutant(
        "average-for-concatenation",
        kills=_LINKS | {"foreign-ops", "parameter-count-block"},
        where="layer 3",
        why="Each layer from the third on sees the average of earlier new maps.",
        replace=[
            (
                SEEN,
                "        new = features[1:]\n"
                "        new = [layers.Average()(new)] if len(new) > 1 else new\n"
                "        seen = join(features[:1] + new)\n",
            )
        ],
    ),
)


def _way(
    name: str,
    link: str,
    why: str,
    only: str = "",
    where: str = "dense_block",
    kills: frozenset[str] | set[str] = frozenset({"foreign-ops"}),
    define: str = "",
) -> Mutant:
    """Links that change the maps `f` they carry to layers; the block's output is untouched.

    `link` is an expression over `f`, as wide as `f`; `only` a condition over `layer` and `i`, the
    position of `f` among the features.
    """
    new = f"{link} if {only} else f" if only else link
    return Mutant(
        name,
        kills=_LINKS | kills,
        where=where,
        why=why,
        replace=[(SEEN, f"        seen = join([{new} for i, f in enumerate(features)])\n")],
        define=define,
    )


CHANGED = (
    _way("links-halved", "0.5 * f", "Every link is multiplied by 0.5."),
    _way(
        "layer-3-link-scaled",
        "f * 0.9",
        "The link from layer 1 to layer 3 is multiplied by 0.9.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "layer-3-link-negated",
        "-f",
        "The link from layer 1 to layer 3 changes its sign.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "layer-3-link-zeroed",
        "f * 0.0",
        "The link from layer 1 to layer 3 is multiplied by zero: same shape and count.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "layer-2-link-zeros-like",
        "ops.zeros_like(f)",
        "Layer 2 receives zeros for the block input: same shape and count.",
        "(layer, i) == (2, 0)",
        "layer 2",
    ),
    _way("links-zeroed", "f * 0.0", "All links but the newest carry zeros.", "i < layer - 1"),
    _way(
        "layer-3-link-sliced-and-tiled",
        "ops.repeat(f[..., :1], growth_rate, axis=-1)",
        "The third layer receives the first map of layer 1, k times: same shape and count.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "layer-3-link-channel-replaced",
        "ops.concatenate([f[..., 1:], f[..., 1:2]], axis=-1)",
        "One map of the link from layer 1 to layer 3 is replaced by its neighbour.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "layer-3-link-cut",
        "f[..., 1:]",
        "One map of the link from layer 1 to layer 3 is cut off.",
        "(layer, i) == (3, 1)",
        "layer 3",
        kills={"parameter-count-block"},
    ),
    _way(
        "layer-3-link-flipped-left-right",
        "f[:, :, ::-1, :]",
        "The link from layer 1 to layer 3 is mirrored left to right.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "links-flipped-upside-down",
        "ops.flip(f, axis=1)",
        "Every old link arrives upside down.",
        "i < layer - 1",
    ),
    _way(
        "links-transposed",
        "ops.transpose(f, (0, 2, 1, 3))",
        "Every old link arrives with rows and columns exchanged.",
        "i < layer - 1",
    ),
    _way(
        "layer-3-link-shifted",
        "ops.roll(f, 1, axis=1)",
        "The link from layer 1 to layer 3 is shifted down by one pixel, around the edge.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "layer-3-link-reversed-channels",
        "ops.flip(f, axis=-1)",
        "The link from layer 1 to layer 3 has its maps in reversed order.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "links-relu",
        "layers.ReLU()(f)",
        "Every link carries activated maps.",
        kills={"composite-function"},
    ),
    _way(
        "layer-3-link-relu",
        "layers.ReLU()(f)",
        "The link from the block input to layer 3 carries activated maps.",
        "(layer, i) == (3, 0)",
        "layer 3",
        kills={"composite-function"},
    ),
    _way(
        "links-bn",
        "layers.BatchNormalization()(f)",
        "Every link is normalised on its way, before the layer's own BN.",
        kills={"composite-function", "parameter-count-block"},
    ),
    _way(
        "links-bn-relu",
        "bn_relu(f)",
        "Every link carries normalised and activated maps.",
        kills={"composite-function", "parameter-count-block"},
    ),
    _way(
        "layer-2-link-bn",
        "layers.BatchNormalization()(f)",
        "The link from the block input to layer 2 is normalised on its way.",
        "(layer, i) == (2, 0)",
        "layer 2",
        kills={"composite-function", "parameter-count-block"},
    ),
    _way(
        "links-smoothed",
        'layers.AveragePooling2D(3, 1, padding="same")(f)',
        "Every link is averaged over 3x3.",
    ),
    _way(
        "layer-3-link-max-pooled",
        'layers.MaxPooling2D(3, 1, padding="same")(f)',
        "The link from layer 1 to layer 3 is max-pooled over 3x3.",
        "(layer, i) == (3, 1)",
        "layer 3",
    ),
    _way(
        "links-learned-1x1",
        "conv(f, f.shape[-1], 1)",
        "Every link has a 1x1 convolution of its own.",
        kills={"parameter-count-block", "composite-function"},
    ),
    _way(
        "layer-2-link-1x1",
        "conv(f, f.shape[-1], 1)",
        "The link from the block input to layer 2 has a 1x1 convolution.",
        "(layer, i) == (2, 0)",
        "layer 2",
        kills={"parameter-count-block", "composite-function"},
    ),
    _way(
        "layer-3-link-random-projection",
        "projected(f)",
        "A constant random matrix stands between layer 1 and layer 3: same shape and count.",
        "(layer, i) == (3, 1)",
        "layer 3",
        define='''def projected(x):
    """The maps times a constant random matrix."""
    width = x.shape[-1]
    matrix = [[math.sin(37.0 * i + 17.0 * j) for j in range(width)] for i in range(width)]
    return ops.matmul(x, ops.convert_to_tensor(matrix, "float32"))
''',
    ),
    _way(
        "layer-3-random-maps-for-layer-1",
        "invented(f)",
        "Layer 3 receives constant maps in place of layer 1's: same shape and count.",
        "(layer, i) == (3, 1)",
        "layer 3",
        define='''def invented(x):
    """Constant maps of the same shape."""
    values = [math.sin(7.0 * i) for i in range(x.shape[-1])]
    return ops.zeros_like(x) + ops.convert_to_tensor(values, "float32")
''',
    ),
    _way(
        "links-stop-gradient",
        "ops.stop_gradient(f)",
        "Old links pass no gradient: the same values, another training.",
        "i < layer - 1",
        kills={"training-behaviour"},
    ),
    _way(
        "layer-3-link-stop-gradient",
        "ops.stop_gradient(f)",
        "The link from layer 1 to layer 3 passes no gradient.",
        "(layer, i) == (3, 1)",
        "layer 3",
        kills={"training-behaviour"},
    ),
    _way(
        "links-learned-scale",
        "LinkScale()(f)",
        "Every link has a learned scale, as in ResNet variants.",
        kills={"parameter-count-block"},
        define='''class LinkScale(layers.Layer):
    """One learned factor."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return self.scale * x
''',
    ),
    _way(
        "links-l2-normalised",
        "ops.normalize(f, axis=-1)",
        "Every link is normalised to length 1 at each pixel.",
    ),
    _way("links-clipped", "ops.clip(f, -3.0, 3.0)", "Every link is clipped to -3..3."),
    _way(
        "links-rounded-to-half-precision-steps",
        "ops.round(f * 8.0) / 8.0",
        "Every link is rounded to eighths.",
    ),
    Mutant(
        "skip-carries-activated-maps",
        kills=_LINKS | {"composite-function"},
        where="dense_block",
        why="The layer overwrites its input with BN-ReLU of it, which is then concatenated.",
        replace=[
            (
                "        features.append(new)\n    return join(features)\n",
                "        features = [layers.Concatenate()([seen, new])]\n"
                "    return join(features)\n",
            ),
            (SEEN, "        seen = bn_relu(join(features))\n"),
            (
                "        new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)\n",
                "        new = conv(seen, 4 * growth_rate, 1) if bottleneck else seen\n"
                "        new = conv(bn_relu(new) if bottleneck else new, growth_rate, 3)\n",
            ),
        ],
    ),
    Mutant(
        "skip-carries-normalised-maps",
        kills=_LINKS | {"composite-function"},
        where="dense_block",
        why="The layer overwrites its input with BN of it, which is then concatenated.",
        replace=[
            (
                "        features.append(new)\n    return join(features)\n",
                "        features = [layers.Concatenate()([seen, new])]\n"
                "    return join(features)\n",
            ),
            (SEEN, "        seen = layers.BatchNormalization()(join(features))\n"),
            (
                "        new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)\n",
                "        new = layers.ReLU()(seen)\n"
                "        new = bn_relu(conv(new, 4 * growth_rate, 1)) if bottleneck else new\n"
                "        new = conv(new, growth_rate, 3)\n",
            ),
        ],
    ),
    Mutant(
        "new-maps-activated-before-concatenation",
        kills=_LINKS | {"composite-function"},
        where="dense_block",
        why="New maps pass a ReLU before they are concatenated.",
        replace=[(NEW, "        features.append(layers.ReLU()(new))\n")],
    ),
    Mutant(
        "new-maps-normalised-before-concatenation",
        kills=_LINKS | {"composite-function", "parameter-count-block"},
        where="dense_block",
        why="New maps pass a BN before they are concatenated.",
        replace=[(NEW, "        features.append(layers.BatchNormalization()(new))\n")],
    ),
    Mutant(
        "block-input-activated",
        kills=_LINKS | {"composite-function"},
        where="dense_block",
        why="The block input passes a ReLU before anything else, in its links and the output.",
        replace=[("    features = [x]\n", "    features = [layers.ReLU()(x)]\n")],
    ),
    Mutant(
        "block-input-normalised",
        kills=_LINKS | {"composite-function", "parameter-count-block"},
        where="dense_block",
        why="The block input passes a BN before anything else, in its links and the output.",
        replace=[("    features = [x]\n", "    features = [layers.BatchNormalization()(x)]\n")],
    ),
    Mutant(
        "output-activated",
        kills=_LINKS | {"composite-function", "block-structure"},
        where="dense_block",
        why="A ReLU stands after the block's last concatenation.",
        replace=[(OUT, OUT.replace("join(features)", "layers.ReLU()(join(features))"))],
    ),
    Mutant(
        "output-normalised",
        kills=_LINKS | {"composite-function", "parameter-count-block"},
        where="dense_block",
        why="BN and ReLU stand at the end of the block.",
        replace=[(OUT, OUT.replace("join(features)", "bn_relu(join(features))"))],
    ),
    Mutant(
        "output-scaled",
        kills=_LINKS | {"foreign-ops", "block-structure"},
        where="dense_block",
        why="The block's output is divided by the square root of the number of layers.",
        replace=[
            (OUT, OUT.replace("return join(features)", "return join(features) / num_layers**0.5"))
        ],
    ),
    Mutant(
        "block-2-layer-3-link-zeroed",
        kills=_LINKS | {"foreign-ops"},
        where="block 2, layer 3",
        why="One link of the network carries zeros: block 2, from layer 1 to layer 3.",
        replace=[in_block("block == 2")],
        define=odd_block(
            "    features = [x]\n"
            "    for layer in range(1, num_layers + 1):\n"
            "        seen = [f * 0.0 if (layer, i) == (3, 1) else f"
            " for i, f in enumerate(features)]\n"
            "        seen = join(seen)\n"
            "        features.append(dense_layer(seen, growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features)\n"
        ),
    ),
    Mutant(
        "block-3-layer-3-layer-2-for-layer-1",
        kills=_LINKS,
        where="block 3, layer 3",
        why="Block 3, layer 3 receives layer 2 twice and layer 1 not at all: same count.",
        replace=[in_block("block == 3")],
        define=odd_block(
            "    features = [x]\n"
            "    for layer in range(1, num_layers + 1):\n"
            "        seen = [x, features[2], features[2]] if layer == 3 else features\n"
            "        seen = join(seen)\n"
            "        features.append(dense_layer(seen, growth_rate, bottleneck, dropout_rate))\n"
            "    return join(features)\n"
        ),
    ),
)

EXTRA = (
    Mutant(
        "two-branches-per-layer",
        kills=_LINKS | {"parameter-count-block", "composite-function", "growth"},
        where="dense_block",
        why="Each layer concatenates two branches of half the maps, as PeleeNet.",
        replace=[in_layer("True")],
        define='''def odd_layer(x, growth_rate, bottleneck, dropout_rate):
    """Two branches side by side."""
    half = growth_rate // 2
    left = dense_layer(x, half, bottleneck, dropout_rate)
    return join([left, dense_layer(x, growth_rate - half, bottleneck, dropout_rate)])
''',
    ),
    Mutant(
        "branches-added-per-layer",
        kills=_LINKS | {"parameter-count-block", "composite-function", "foreign-ops"},
        where="dense_block",
        why="Each layer adds two parallel branches.",
        replace=[in_layer("True")],
        define='''def odd_layer(x, growth_rate, bottleneck, dropout_rate):
    """Two branches added."""
    left = dense_layer(x, growth_rate, bottleneck, dropout_rate)
    return layers.Add()([left, dense_layer(x, growth_rate, bottleneck, dropout_rate)])
''',
    ),
    Mutant(
        "links-from-the-block-before",
        kills=_LINKS | {"block-structure", "parameter-count-network", "growth"},
        where="block",
        why="Blocks 2 and 3 also receive the pooled input of the block before them.",
        replace=[
            (
                f"        {BLOCK}\n",
                "        before = x\n"
                f"        {BLOCK}\n"
                "        before = layers.AveragePooling2D(2)(before)\n",
            ),
            (
                "            x = transition(x, compression, dropout_rate)\n",
                "            x = transition(x, compression, dropout_rate)\n"
                "            x = join([x, before])\n",
            ),
        ],
    ),
    Mutant(
        "stem-linked-to-the-head",
        kills=_LINKS | {"head", "block-structure", "parameter-count-network"},
        where="",
        why="The pooled stem is concatenated to the last block's output.",
        replace=[
            ("    x = conv(inputs, stem, 3)\n", "    x = first = conv(inputs, stem, 3)\n"),
            (
                "    outputs = head(x, num_classes)\n",
                "    x = join([x, layers.AveragePooling2D(4)(first)])\n"
                "    outputs = head(x, num_classes)\n",
            ),
        ],
    ),
)

WRONG_LINKS = (*MISSING, *DOUBLED, *OUTPUT, *ADDITION, *CHANGED, *EXTRA)

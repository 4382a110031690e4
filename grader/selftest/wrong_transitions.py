"""Wrong transition layers."""

from grader.selftest.edits import (
    POOL,
    SQUEEZE,
    STEM,
    TRANSITION,
    in_transition,
    odd_transition,
)
from grader.selftest.mutant import Mutant

_TRANSITION = {"transition-layer"}
_COUNTED = _TRANSITION | {"parameter-count-transition"}
_SHAPED = _TRANSITION | {"transition-shape"}
_BN = "    x = layers.BatchNormalization()(x)\n"
_RELU = "    x = layers.ReLU()(x)\n"
_CONV = "    x = conv(x, filters, 1)\n"
_FILTERS = "    filters = math.floor(compression * x.shape[-1])\n"


def _order(name: str, body: str, why: str, counted: bool = False) -> Mutant:
    """Other statements before the pooling."""
    kills = _COUNTED if counted else _TRANSITION
    return Mutant(name, kills=kills, where="transition", why=why, replace=[(SQUEEZE, body)])


def _pool(name: str, new: str, why: str, shaped: bool = False) -> Mutant:
    """Something else for the 2x2 average pooling."""
    kills = _SHAPED if shaped else _TRANSITION | {"foreign-ops"}
    return Mutant(
        name, kills=kills, where="transition", why=why, replace=[(POOL, f"    return {new}\n")]
    )


def _width(name: str, filters: str, why: str) -> Mutant:
    """Another number of maps after the transition."""
    return Mutant(
        name,
        kills=_SHAPED | {"parameter-count-transition"},
        where="transition",
        why=why,
        replace=[(_FILTERS, f"    filters = {filters}\n")],
    )


def _only(name: str, number: int, body: str, why: str, kills: set[str] | None = None) -> Mutant:
    """A wrong transition after one block only, the other one right."""
    return Mutant(
        name,
        kills=_TRANSITION | (kills or set()),
        where=f"transition {number}",
        why=why,
        replace=[in_transition(number)],
        define=odd_transition(body),
    )


WRONG_TRANSITIONS = (
    _order("transition-without-bn", _RELU + _CONV, "No BN in the transition.", counted=True),
    _order("transition-bare", _CONV, "Neither BN nor ReLU in the transition.", counted=True),
    _order("transition-conv-bn-relu", _CONV + "    x = bn_relu(x)\n", "Convolution, BN, ReLU."),
    _order("transition-relu-bn-conv", _RELU + _BN + _CONV, "ReLU before BN."),
    _order("transition-bn-conv-relu", _BN + _CONV + _RELU, "BN, convolution, ReLU."),
    _order("transition-extra-relu", SQUEEZE + _RELU, "A second ReLU after the convolution."),
    _order(
        "transition-extra-bn", SQUEEZE + _BN, "A second BN after the convolution.", counted=True
    ),
    _order("transition-bn-twice", _BN + SQUEEZE, "Two BN in a row.", counted=True),
    _order(
        "transition-two-convolutions",
        SQUEEZE + _CONV,
        "Two 1x1 convolutions in a row.",
        counted=True,
    ),
    _order(
        "transition-without-convolution",
        "    x = bn_relu(x)\n",
        "No convolution: the maps are not compressed.",
        counted=True,
    ),
    _order(
        "transition-3x3",
        SQUEEZE.replace("filters, 1", "filters, 3"),
        "The transition's convolution is 3x3.",
        counted=True,
    ),
    _order(
        "transition-pool-before-relu",
        _BN + "    x = layers.AveragePooling2D(2)(x)\n" + _RELU + _CONV + "    return x\n",
        "The pooling stands between BN and ReLU: the mean of the maps is rectified.",
    ),
    _order(
        "transition-pool-before-bn",
        "    x = layers.AveragePooling2D(2)(x)\n" + SQUEEZE + "    return x\n",
        "The pooling stands before BN and ReLU.",
    ),
    _order(
        "transition-residual",
        "    skip = conv(x, filters, 1)\n" + SQUEEZE + "    x = layers.Add()([x, skip])\n",
        "A projected skip is added in the transition.",
        counted=True,
    ),
    _order(
        "transition-bn-frozen",
        "    x = layers.ReLU()(layers.BatchNormalization(trainable=False)(x))\n" + _CONV,
        "The transition's BN is frozen.",
        counted=True,
    ),
    _order(
        "transition-bn-hard-wired-to-inference",
        "    x = layers.ReLU()(layers.BatchNormalization()(x, training=False))\n" + _CONV,
        "The transition's BN never uses the batch's statistics.",
    ),
    _order("transition-relu6", _BN + "    x = ops.relu6(x)\n" + _CONV, "ReLU6 in the transition."),
    _order(
        "transition-sigmoid-after",
        SQUEEZE + "    x = ops.sigmoid(x)\n",
        "A sigmoid after the transition's convolution.",
    ),
    _pool("transition-max-pooling", "layers.MaxPooling2D(2)(x)", "Max for average pooling."),
    _pool("transition-without-pooling", "x", "No pooling.", shaped=True),
    _pool("transition-pool-3", 'layers.AveragePooling2D(3, 2, padding="same")(x)', "3x3 pooling."),
    _pool("transition-pool-stride-1", "layers.AveragePooling2D(2, 1)(x)", "Stride 1.", shaped=True),
    _pool("transition-pool-4", "layers.AveragePooling2D(4)(x)", "4x4 pooling.", shaped=True),
    _pool(
        "transition-pool-stride-1-then-subsampling",
        'layers.AveragePooling2D(3, 1, padding="same")(x)[:, ::2, ::2, :]',
        "Smoothing over 3x3, then every second pixel.",
    ),
    _pool(
        "transition-subsampling",
        "x[:, ::2, ::2, :]",
        "Every second pixel is taken, nothing is averaged.",
    ),
    _pool(
        "transition-nearest-resize",
        'ops.image.resize(x, (x.shape[1] // 2, x.shape[2] // 2), interpolation="nearest")',
        "Resizing by the nearest pixel for average pooling.",
    ),
    _pool(
        "transition-max-and-average",
        "layers.Average()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)])",
        "The mean of max and average pooling.",
    ),
    _pool(
        "transition-sum-pooling",
        "4.0 * layers.AveragePooling2D(2)(x)",
        "The sum over 2x2, not the mean.",
    ),
    _pool(
        "transition-l2-pooling",
        "ops.sqrt(layers.AveragePooling2D(2)(ops.square(x)) + 1e-6)",
        "The root mean square over 2x2.",
    ),
    _pool(
        "transition-pool-rows-only-twice",
        "layers.AveragePooling2D((4, 1), (2, 2), padding='same')(x)",
        "Pooling over 4x1 windows with stride 2: same shape.",
    ),
    _pool(
        "transition-relu-after-pooling",
        "layers.ReLU()(layers.AveragePooling2D(2)(x))",
        "A ReLU after the pooling.",
    ),
    _pool(
        "transition-bn-after-pooling",
        "layers.BatchNormalization()(layers.AveragePooling2D(2)(x))",
        "A BN after the pooling.",
    ),
    Mutant(
        "transition-strided-convolution",
        kills=_TRANSITION,
        where="transition",
        why="A 1x1 convolution with stride 2 for convolution and pooling: same shape and count.",
        replace=[
            (
                "    x = conv(x, filters, 1)\n    x = drop(x, dropout_rate)\n" + POOL,
                "    return layers.Conv2D(filters, 1, strides=2, use_bias=False)(x)\n",
            )
        ],
    ),
    Mutant(
        "transition-2x2-strided-convolution",
        kills=_COUNTED,
        where="transition",
        why="A 2x2 convolution with stride 2 for convolution and pooling.",
        replace=[
            (
                "    x = conv(x, filters, 1)\n    x = drop(x, dropout_rate)\n" + POOL,
                "    return layers.Conv2D(filters, 2, strides=2, use_bias=False)(x)\n",
            )
        ],
    ),
    Mutant(
        "transition-grouped",
        kills=_COUNTED | {"foreign-ops"},
        where="transition",
        why="The transition's convolution is grouped where its width allows it.",
        replace=[
            (
                _CONV,
                "    groups = math.gcd(filters, x.shape[-1])\n"
                "    x = layers.Conv2D(filters, 1, groups=groups, use_bias=False)(x)\n",
            )
        ],
    ),
    _width("transition-ceil", "math.ceil(compression * x.shape[-1])", "Ceiling for floor."),
    _width("transition-round", "round(compression * x.shape[-1])", "Rounding for floor."),
    _width(
        "transition-round-half-up",
        "int(compression * x.shape[-1] + 0.5)",
        "Rounding half up for floor.",
    ),
    _width("transition-keeps-width", "x.shape[-1]", "theta is ignored: all maps are kept."),
    _width("transition-always-half", "x.shape[-1] // 2", "theta is ignored: always 0.5."),
    _width(
        "transition-theta-twice",
        "max(1, math.floor(compression * math.floor(compression * x.shape[-1])))",
        "theta is applied twice.",
    ),
    _width(
        "transition-one-minus-theta",
        "math.floor((1 - compression) * x.shape[-1]) or x.shape[-1]",
        "1 - theta of the maps are kept.",
    ),
    _width("transition-48-maps", "48", "Always 48 maps."),
    _width(
        "transition-reciprocal",
        "x.shape[-1] // round(1 / compression)",
        "Division by 1 / theta rounded, right for theta = 0.5 and 1 only.",
    ),
    _width(
        "transition-multiple-of-8",
        "max(8, math.floor(compression * x.shape[-1]) // 8 * 8)",
        "The width is rounded down to a multiple of 8.",
    ),
    _width(
        "transition-one-map-more",
        "math.floor(compression * x.shape[-1]) + 1",
        "One map more than theta gives.",
    ),
    Mutant(
        "transition-crops-maps",
        kills=_SHAPED | {"parameter-count-transition", "foreign-ops"},
        where="transition",
        why="All maps are convolved, then the surplus is cut off.",
        replace=[(_CONV, "    x = conv(x, x.shape[-1], 1)[..., :filters]\n")],
    ),
    Mutant(
        "compression-before-bn",
        kills=_COUNTED,
        where="transition",
        why="The maps are cut to theta m before BN, ReLU and convolution.",
        replace=[("    x = bn_relu(x)\n" + _CONV, "    x = bn_relu(x[..., :filters])\n" + _CONV)],
    ),
    Mutant(
        "transition-widths-carry-fractions",
        kills=_TRANSITION,
        where="transition 2",
        why="The number of maps stays a fraction from one transition to the next.",
        replace=[
            (STEM, STEM + "    maps = stem\n"),
            (
                TRANSITION,
                "maps = (maps + num_layers * growth_rate) * compression\n"
                "            x = layers.AveragePooling2D(2)(conv(bn_relu(x), int(maps), 1))",
            ),
        ],
    ),
    _only(
        "transition-2-max-pooling",
        2,
        SQUEEZE + "    return layers.MaxPooling2D(2)(x)\n",
        "The second transition pools by the maximum.",
    ),
    _only(
        "transition-1-conv-bn-relu",
        1,
        _CONV + "    x = bn_relu(x)\n" + POOL,
        "The first transition is convolution, BN, ReLU.",
        {"parameter-count-network"},
    ),
    _only(
        "transition-1-without-bn",
        1,
        _RELU + _CONV + POOL,
        "The first transition has no BN.",
        {"parameter-count-network"},
    ),
    _only(
        "transition-2-strided-convolution",
        2,
        "    return layers.Conv2D(filters, 1, strides=2, use_bias=False)(bn_relu(x))\n",
        "The second transition is a strided convolution: same shape and count.",
    ),
    _only(
        "transition-2-keeps-width",
        2,
        SQUEEZE.replace("filters", "x.shape[-1]") + POOL,
        "The second transition does not compress.",
        {"parameter-count-network", "growth"},
    ),
    _only(
        "transition-1-ceil",
        1,
        "    filters = math.ceil(compression * x.shape[-1])\n" + SQUEEZE + POOL,
        "The first transition rounds up.",
        {"parameter-count-network"},
    ),
    _only(
        "transition-2-only-pooling",
        2,
        "    return layers.AveragePooling2D(2)(x)\n",
        "The second transition is a pooling alone.",
        {"parameter-count-network"},
    ),
    _only(
        "transition-1-3x3",
        1,
        SQUEEZE.replace("filters, 1", "filters, 3") + POOL,
        "The first transition's convolution is 3x3.",
        {"parameter-count-network"},
    ),
)

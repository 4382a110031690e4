"""Right networks that earn a remark: the same function, or a ruling that costs nothing."""

from grader.selftest.edits import CLASSIFIER, HEAD, POOL, SQUEEZE, STEM
from grader.selftest.mutant import Edit, Mutant


def _remark(name: str, why: str, *edits: Edit, define: str = "", where: str = "") -> Mutant:
    return Mutant(name, kind="remark", why=why, replace=edits, define=define, where=where)


_SQUEEZE_AND_POOL = (
    "    x = bn_relu(x)\n    x = conv(x, filters, 1)\n    x = drop(x, dropout_rate)\n" + POOL
)
_CONV_OF_H = "    x = conv(x, filters, kernel_size)\n"

REMARKS = (
    _remark(
        "pooling-before-the-convolution",
        "BN, ReLU, pooling, 1x1 convolution: the two commute, the function is the same.",
        (
            _SQUEEZE_AND_POOL,
            "    x = layers.AveragePooling2D(2)(bn_relu(x))\n    return conv(x, filters, 1)\n",
        ),
        where="transition",
    ),
    _remark(
        "stem-16-in-bc",
        "16 stem channels in DenseNet-BC.",
        ("2 * growth_rate if bottleneck and compression < 1 else 16", "16"),
        where="stem",
    ),
    _remark(
        "bn-without-scale",
        "BN without gamma before ReLU and convolution, which can take the scale over.",
        (
            "    x = layers.BatchNormalization()(x)\n",
            "    x = layers.BatchNormalization(scale=False)(x)\n",
        ),
        where="dense_block",
    ),
    _remark(
        "bn-without-scale-in-head",
        "BN without gamma in the head only.",
        (
            HEAD,
            "    x = layers.ReLU()(layers.BatchNormalization(scale=False)(x))\n"
            "    x = layers.GlobalAveragePooling2D()(x)\n",
        ),
        where="head",
    ),
    _remark(
        "bn-without-scale-in-transition",
        "BN without gamma in the transitions only.",
        (
            SQUEEZE,
            "    x = layers.ReLU()(layers.BatchNormalization(scale=False)(x))\n"
            "    x = conv(x, filters, 1)\n",
        ),
        where="transition",
    ),
    _remark(
        "convolutions-as-sums",
        "Each convolution of H is a sum of two, over a part of its input each: the same function.",
        (
            _CONV_OF_H,
            "    x = layers.Add()([conv(x[..., :3], filters, kernel_size), "
            "conv(x[..., 3:], filters, kernel_size)])\n",
        ),
        where="dense_block",
    ),
    _remark(
        "stem-as-a-sum",
        "The stem is a sum of a convolution of the red plane and one of the others.",
        (STEM, "    x = conv(inputs[..., :1], stem, 3) + conv(inputs[..., 1:], stem, 3)\n"),
        where="stem",
    ),
    _remark(
        "classifier-without-bias",
        "The classifier has no bias.",
        (CLASSIFIER, CLASSIFIER.replace("(num_classes,", "(num_classes, use_bias=False,")),
        where="head",
    ),
    _remark(
        "1x1-convolution-as-dense-in-transition",
        "The transition's 1x1 convolution is a Dense layer over the channels.",
        (
            SQUEEZE,
            "    x = bn_relu(x)\n    x = layers.Dense(filters, use_bias=False)(x)\n",
        ),
        where="transition",
    ),
    _remark(
        "1x1-convolution-as-dense-in-bottleneck",
        "The bottleneck's 1x1 convolution is a Dense layer over the channels.",
        (
            "        x = composite(x, 4 * growth_rate, 1, dropout_rate)\n",
            "        x = layers.Dense(4 * growth_rate, use_bias=False)(bn_relu(x))\n"
            "        x = drop(x, dropout_rate)\n",
        ),
        where="dense_block",
    ),
    _remark(
        "1x1-convolution-as-einsum",
        "The bottleneck's 1x1 convolution is an EinsumDense layer.",
        (
            "        x = composite(x, 4 * growth_rate, 1, dropout_rate)\n",
            "        shape = (*x.shape[1:3], 4 * growth_rate)\n"
            '        x = layers.EinsumDense("bhwc,cd->bhwd", shape)(bn_relu(x))\n'
            "        x = drop(x, dropout_rate)\n",
        ),
        where="dense_block",
    ),
    _remark(
        "1x1-convolution-as-einsum-op",
        "The transition's 1x1 convolution is ops.einsum over a kernel of its own.",
        (SQUEEZE, "    x = bn_relu(x)\n    x = Mixed(filters)(x)\n"),
        define='''class Mixed(layers.Layer):
    """A 1x1 convolution by einsum."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.filters))

    def call(self, x):
        return ops.einsum("bhwc,cd->bhwd", x, self.kernel)
''',
        where="transition",
    ),
    _remark(
        "dropout-before-the-convolution",
        "Dropout between ReLU and convolution.",
        (
            _CONV_OF_H + "    return drop(x, dropout_rate)\n",
            "    return conv(drop(x, dropout_rate), filters, kernel_size)\n",
        ),
    ),
    _remark(
        "dropout-before-the-classifier",
        "Dropout 0.5 before the classifier.",
        (CLASSIFIER, "    x = layers.Dropout(0.5)(x)\n" + CLASSIFIER),
        where="head",
    ),
    _remark(
        "dropout-after-the-stem",
        "Dropout after the stem.",
        (STEM, STEM + "    x = layers.Dropout(0.1)(x)\n"),
        where="stem",
    ),
    _remark(
        "dropout-after-pooling",
        "Dropout after the transition's pooling.",
        (POOL, "    return layers.Dropout(0.1)(layers.AveragePooling2D(2)(x))\n"),
        where="transition",
    ),
    _remark(
        "spatial-dropout",
        "SpatialDropout2D for Dropout: whole maps are dropped.",
        (
            "return layers.Dropout(dropout_rate)(x) if dropout_rate else x",
            "return layers.SpatialDropout2D(0.2)(x)",
        ),
        where="dense_block",
    ),
    _remark(
        "spatial-dropout-when-asked-for",
        "SpatialDropout2D for Dropout, where there is any.",
        (
            "return layers.Dropout(dropout_rate)(x) if",
            "return layers.SpatialDropout2D(dropout_rate)(x) if",
        ),
        where="layer",
    ),
    _remark(
        "gaussian-dropout",
        "GaussianDropout for Dropout.",
        (
            "return layers.Dropout(dropout_rate)(x) if dropout_rate else x",
            "return layers.GaussianDropout(0.2)(x)",
        ),
        where="dense_block",
    ),
    _remark(
        "dropout-of-whole-layers",
        "Dropout of a layer's maps all at once, per image.",
        (
            "        features.append(new)\n",
            "        features.append(layers.Dropout(0.1, noise_shape=(None, 1, 1, 1))(new))\n",
        ),
        where="dense_block",
    ),
    _remark(
        "dropout-on-the-links",
        "Dropout of what each layer receives.",
        ("        seen = join(features)\n", "        seen = layers.Dropout(0.1)(join(features))\n"),
        where="dense_block",
    ),
    _remark(
        "build-model-compression-0.7",
        "The trained network has theta = 0.7; build_densenet obeys its argument.",
        ("depth=22, growth_rate=12)", "depth=22, growth_rate=12, compression=0.7)"),
        where="build_model",
    ),
    _remark(
        "build-model-compression-0.25",
        "The trained network has theta = 0.25.",
        ("depth=22, growth_rate=12)", "depth=22, growth_rate=12, compression=0.25)"),
        where="build_model",
    ),
    _remark(
        "stem-of-two-convolutions-side-by-side",
        "The stem is two convolutions of the image, concatenated.",
        (
            STEM,
            "    x = join([conv(inputs, stem // 2, 3), conv(inputs, stem - stem // 2, 3)])\n",
        ),
        where="stem",
    ),
    _remark(
        "stem-of-single-maps",
        "The stem is four convolutions of the image, concatenated.",
        (
            STEM,
            "    parts = [stem // 4, stem // 4, stem // 4, stem - 3 * (stem // 4)]\n"
            "    x = join([conv(inputs, part, 3) for part in parts])\n",
        ),
        where="stem",
    ),
)

"""Right networks: the paper's, in every way a student may write it."""

from grader.selftest.edits import BN, CLASSIFIER, HEAD, NEW, OUT, POOL, RELU, SEEN, SQUEEZE, STEM, H
from grader.selftest.mutant import Edit, Mutant
from grader.selftest.right_styles import STYLES

_RELU_LINE = "    x = layers.ReLU()(x)\n"
_BN_LINE = "    x = layers.BatchNormalization()(x)\n"
_CONV_BODY = """\
    return layers.Conv2D(
        filters, kernel_size, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
"""


def _right(name: str, why: str, *edits: Edit, define: str = "") -> Mutant:
    return Mutant(name, kind="right", why=why, replace=edits, define=define)


ONE_DIFFERENCE = (
    _right("reference", "The reference itself."),
    _right(
        "image-behind-a-stopped-gradient",
        "Nothing before an image learns.",
        (STEM, "    x = conv(ops.stop_gradient(inputs), stem, 3)\n"),
    ),
    _right(
        "relu-activation-layer",
        "ReLU as an Activation layer.",
        (RELU, '    return layers.Activation("relu")(x)\n'),
    ),
    _right("relu-keras-op", "ReLU as keras.ops.relu.", (RELU, "    return ops.relu(x)\n")),
    _right(
        "relu-activations-function",
        "ReLU as keras.activations.relu.",
        (RELU, "    return keras.activations.relu(x)\n"),
    ),
    _right(
        "relu-by-maximum",
        "ReLU as the maximum with zero.",
        (RELU, "    return ops.maximum(x, 0.0)\n"),
    ),
    _right(
        "relu-lambda",
        "ReLU inside a Lambda layer.",
        (RELU, "    return layers.Lambda(lambda t: ops.relu(t))(x)\n"),
    ),
    _right(
        "relu-object-shared",
        "One ReLU layer object used everywhere: it has no weights.",
        (RELU, "    return RELU(x)\n"),
        define="RELU = layers.ReLU()\n",
    ),
    _right(
        "relu-twice", "A second ReLU does nothing.", (RELU, "    return ops.relu(ops.relu(x))\n")
    ),
    _right(
        "convolution-bias",
        "All convolutions have a bias.",
        (_CONV_BODY, '    return layers.Conv2D(filters, kernel_size, padding="same")(x)\n'),
    ),
    _right(
        "convolution-bias-in-dense-layers-only",
        "Biases in the dense layers' convolutions only.",
        (
            H,
            '    x = layers.Conv2D(filters, kernel_size, padding="same")(bn_relu(x))\n',
        ),
    ),
    _right(
        "initialiser-and-regulariser",
        "He-uniform initialisation and weight decay in the layers.",
        (
            'kernel_initializer="he_normal"',
            'kernel_initializer="he_uniform", kernel_regularizer=keras.regularizers.L2(1e-4)',
        ),
    ),
    _right(
        "padding-written-out",
        "ZeroPadding2D and a valid convolution.",
        (
            _CONV_BODY,
            "    x = layers.ZeroPadding2D(kernel_size // 2)(x)\n"
            "    return layers.Conv2D(filters, kernel_size, use_bias=False)(x)\n",
        ),
    ),
    _right(
        "padding-by-ops",
        "ops.pad and a valid convolution.",
        (
            _CONV_BODY,
            "    p = kernel_size // 2\n"
            "    x = ops.pad(x, [(0, 0), (p, p), (p, p), (0, 0)])\n"
            "    return layers.Conv2D(filters, kernel_size, use_bias=False)(x)\n",
        ),
    ),
    _right(
        "bn-momentum",
        "Another momentum in BN.",
        (BN, "    x = layers.BatchNormalization(momentum=0.9)(x)\n"),
    ),
    _right(
        "bn-initialisers-and-regularisers",
        "Other initialisers and weight decay in BN.",
        (
            BN,
            '    x = layers.BatchNormalization(gamma_initializer="glorot_uniform", '
            "gamma_regularizer=keras.regularizers.L2(1e-4))(x)\n".replace(
                '"glorot_uniform"', "keras.initializers.Constant(0.5)"
            ),
        ),
    ),
    _right(
        "bn-axis-written-out",
        "BN with axis=3, which is the last one.",
        (BN, "    x = layers.BatchNormalization(axis=3)(x)\n"),
    ),
    _right(
        "bn-argument-training-none",
        "BN called with training=None.",
        (BN, "    x = layers.BatchNormalization()(x, training=None)\n"),
    ),
    _right(
        "transition-without-relu",
        "No ReLU in the transition: the paper's sentence has none.",
        (SQUEEZE, _BN_LINE + "    x = conv(x, filters, 1)\n"),
    ),
    _right(
        "pool-padding-same",
        "padding='same' in the pooling of even maps.",
        (POOL, '    return layers.AveragePooling2D((2, 2), strides=2, padding="same")(x)\n'),
    ),
    _right(
        "pool-by-ops",
        "Average pooling by keras.ops.",
        (POOL, '    return ops.average_pool(x, 2, strides=2, padding="valid")\n'),
    ),
    _right(
        "concatenate-op",
        "Concatenation by keras.ops.",
        (
            "else layers.Concatenate()(features)",
            "else ops.concatenate(features, axis=-1)",
        ),
    ),
    _right(
        "concatenate-function",
        "Concatenation by layers.concatenate with axis=3.",
        ("else layers.Concatenate()(features)", "else layers.concatenate(features, axis=3)"),
    ),
    _right(
        "concatenate-step-by-step",
        "The new maps are concatenated to the old ones in every layer.",
        (SEEN, "        seen = x\n"),
        (OUT, "        x = layers.Concatenate()([x, new])\n    return x\n"),
        ("    features = [x]\n", ""),
    ),
    _right(
        "concatenate-step-by-step-new-first",
        "As before, the new maps in front.",
        (SEEN, "        seen = x\n"),
        (OUT, "        x = layers.Concatenate()([new, x])\n    return x\n"),
        ("    features = [x]\n", ""),
    ),
    _right(
        "concatenate-reversed",
        "All features at once, the newest first.",
        (SEEN, "        seen = join(features[::-1])\n"),
    ),
    _right(
        "concatenate-in-pairs",
        "Nested concatenations: old ones joined before the newest.",
        (
            SEEN,
            "        seen = join([join(features[:-1]), features[-1]]) if layer > 1 else x\n",
        ),
    ),
    _right(
        "concatenate-twice",
        "Each layer concatenates anew for itself and for the block's output.",
        (
            "        new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)\n",
            "        seen = join(list(features))\n"
            "        new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)\n",
        ),
        (SEEN, ""),
    ),
    _right(
        "bn-per-piece",
        "BN and ReLU of each piece, then concatenation: the same function and count.",
        (
            SEEN,
            "        seen = features\n",
        ),
        (
            "    x = bn_relu(x)\n    x = conv(x, filters, kernel_size)\n",
            "    x = join([bn_relu(f) for f in (x if isinstance(x, list) else [x])])\n"
            "    x = conv(x, filters, kernel_size)\n",
        ),
    ),
    _right(
        "identity-layers",
        "Identity layers between the dense layers.",
        (NEW, "        features.append(layers.Identity()(new))\n"),
    ),
    _right(
        "linear-activations",
        "Activation('linear') after the convolutions.",
        (H, H + '    x = layers.Activation("linear")(x)\n'),
    ),
    _right(
        "stem-2k-in-basic",
        "2k stem channels in the basic network too.",
        ("2 * growth_rate if bottleneck and compression < 1 else 16", "2 * growth_rate"),
    ),
    _right(
        "head-average-pool-and-flatten",
        "Average pooling over the whole map, then Flatten.",
        (
            HEAD,
            "    x = bn_relu(x)\n    x = layers.AveragePooling2D(x.shape[1])(x)\n"
            "    x = layers.Flatten()(x)\n",
        ),
    ),
    _right(
        "head-mean-op",
        "The mean over the map by keras.ops.",
        (HEAD, "    x = bn_relu(x)\n    x = ops.mean(x, axis=(1, 2))\n"),
    ),
    _right(
        "head-mean-by-einsum",
        "The mean over the map as an einsum and a division.",
        (
            HEAD,
            '    x = bn_relu(x)\n    x = ops.einsum("bhwc->bc", x) / (x.shape[1] * x.shape[2])\n',
        ),
    ),
    _right(
        "head-mean-in-two-steps",
        "The mean over columns, then over rows.",
        (HEAD, "    x = bn_relu(x)\n    x = ops.mean(ops.mean(x, axis=2), axis=1)\n"),
    ),
    _right(
        "head-softmax-layer",
        "Softmax as a layer of its own.",
        (CLASSIFIER, "    return layers.Softmax()(layers.Dense(num_classes)(x))\n"),
    ),
    _right(
        "head-softmax-activation-layer",
        "Softmax as an Activation layer.",
        (CLASSIFIER, '    return layers.Activation("softmax")(layers.Dense(num_classes)(x))\n'),
    ),
    _right(
        "head-logits",
        "No softmax: logits.",
        (CLASSIFIER, "    return layers.Dense(num_classes)(x)\n"),
    ),
    _right(
        "head-1x1-convolution",
        "A 1x1 convolution as classifier, before the pooling is squeezed away.",
        (
            HEAD + CLASSIFIER,
            "    x = bn_relu(x)\n"
            "    x = layers.GlobalAveragePooling2D(keepdims=True)(x)\n"
            "    x = layers.Conv2D(num_classes, 1)(x)\n"
            "    return layers.Softmax()(layers.Flatten()(x))\n",
        ),
    ),
    _right(
        "dropout-after-3x3-only",
        "Dropout after the 3x3 convolutions only.",
        (
            "x = composite(x, 4 * growth_rate, 1, dropout_rate)",
            "x = composite(x, 4 * growth_rate, 1, 0.0)",
        ),
        ("    x = drop(x, dropout_rate)\n    return layers.Average", "    return layers.Average"),
    ),
    _right(
        "dropout-in-build-model",
        "The trained network has dropout 0.2 after every convolution but the first.",
        (
            "build_densenet(depth=22, growth_rate=12)",
            "build_densenet(depth=22, growth_rate=12, dropout_rate=0.2)",
        ),
    ),
    _right(
        "dropout-layers-always-there",
        "A Dropout layer stands everywhere, of rate 0 where none is asked for.",
        (
            "    return layers.Dropout(dropout_rate)(x) if dropout_rate else x\n",
            "    return layers.Dropout(dropout_rate)(x)\n",
        ),
    ),
    _right(
        "rescaling-inside",
        "Inputs of 0..255 are scaled inside the network.",
        (STEM, "    x = layers.Rescaling(1.0 / 255)(inputs)\n    x = conv(x, stem, 3)\n"),
        (
            '    return ops.cast(images, "float32") / 255.0\n',
            '    return ops.cast(images, "float32")\n',
        ),
    ),
    _right(
        "normalization-layer-inside",
        "A Normalization layer with given mean and variance.",
        (
            STEM,
            "    x = layers.Normalization(mean=[0.49, 0.48, 0.45], variance=[0.06, 0.06, 0.07])"
            "(inputs)\n"
            "    x = conv(x, stem, 3)\n",
        ),
    ),
    _right(
        "standardised-by-ops-inside",
        "Mean and deviation are subtracted and divided by plain arithmetic.",
        (STEM, "    x = conv((inputs - 0.473) / 0.251, stem, 3)\n"),
    ),
    _right(
        "preprocess-standardises",
        "preprocess() divides by 255, subtracts the mean and divides by the deviation.",
        (
            '    return ops.cast(images, "float32") / 255.0\n',
            '    images = ops.cast(images, "float32") / 255.0\n'
            "    return (images - ops.convert_to_tensor([0.491, 0.482, 0.447]))"
            " / ops.convert_to_tensor([0.247, 0.243, 0.262])\n",
        ),
    ),
    _right(
        "augmentation-inside",
        "Flips and shifts as layers, gone at inference.",
        (
            STEM,
            '    x = layers.RandomFlip("horizontal")(inputs)\n'
            '    x = layers.RandomTranslation(0.125, 0.125, fill_mode="constant")(x)\n'
            "    x = conv(x, stem, 3)\n",
        ),
    ),
    _right(
        "augmentation-of-colours-inside",
        "Rotation and contrast as one Sequential, gone at inference.",
        (
            STEM,
            "    augmented = keras.Sequential(\n"
            "        [layers.RandomRotation(0.02), layers.RandomContrast(0.1)]\n"
            "    )\n"
            "    x = conv(augmented(inputs), stem, 3)\n",
        ),
    ),
    _right(
        "relu-by-where",
        "ReLU as a choice between the value and zero.",
        (RELU, "    return ops.where(x > 0, x, ops.zeros_like(x))\n"),
    ),
    _right(
        "relu-defaults-written-out",
        "ReLU with its default arguments.",
        (RELU, "    return layers.ReLU(max_value=None, negative_slope=0.0, threshold=0.0)(x)\n"),
    ),
    _right(
        "relu-as-leaky-of-slope-0",
        "A leaky ReLU of slope 0.",
        (RELU, "    return layers.LeakyReLU(negative_slope=0.0)(x)\n"),
    ),
    _right(
        "bn-defaults-written-out",
        "BN with its default arguments.",
        (
            BN,
            "    x = layers.BatchNormalization(axis=-1, center=True, scale=True, "
            "momentum=0.99, epsilon=0.001)(x)\n",
        ),
    ),
    _right(
        "bn-epsilon",
        "Another epsilon in BN.",
        (BN, "    x = layers.BatchNormalization(epsilon=1e-5)(x)\n"),
    ),
    _right(
        "convolution-defaults-written-out",
        "Convolutions with their default arguments.",
        (
            _CONV_BODY,
            "    return layers.Conv2D(\n"
            "        filters, (kernel_size, kernel_size), strides=(1, 1),"
            " dilation_rate=1, groups=1,"
            ' padding="SAME", data_format="channels_last", use_bias=False\n'
            "    )(x)\n",
        ),
    ),
    _right(
        "convolution-activity-regulariser",
        "An activity regulariser on the convolutions.",
        (
            'kernel_initializer="he_normal"',
            'kernel_initializer="orthogonal", activity_regularizer=keras.regularizers.L2(1e-6)',
        ),
    ),
    _right(
        "stem-with-bias-only",
        "A bias in the stem only.",
        (STEM, '    x = layers.Conv2D(stem, 3, padding="same")(inputs)\n'),
    ),
    _right(
        "floor-by-int",
        "int() for the floor.",
        ("math.floor(compression * x.shape[-1])", "int(x.shape[-1] * compression)"),
    ),
    _right(
        "floor-by-integer-division",
        "Integer division by 1 for the floor.",
        ("math.floor(compression * x.shape[-1])", "int(compression * x.shape[-1] // 1)"),
    ),
    _right(
        "head-reshape-and-mean",
        "The map is reshaped to a list of pixels, whose mean is taken.",
        (
            HEAD,
            "    x = layers.Reshape((-1, x.shape[-1]))(bn_relu(x))\n"
            "    x = layers.GlobalAveragePooling1D()(x)\n",
        ),
    ),
    _right(
        "head-1x1-convolution-before-pooling",
        "A 1x1 convolution as classifier at each pixel, whose logits are averaged.",
        (
            HEAD + CLASSIFIER,
            "    x = layers.Conv2D(num_classes, 1)(bn_relu(x))\n"
            "    x = layers.GlobalAveragePooling2D()(x)\n"
            "    return layers.Softmax()(x)\n",
        ),
    ),
    _right(
        "head-softmax-op",
        "Softmax by keras.ops.",
        (CLASSIFIER, "    return ops.softmax(layers.Dense(num_classes)(x), axis=-1)\n"),
    ),
    _right(
        "head-output-float32",
        "The softmax is asked for in float32.",
        (
            CLASSIFIER,
            "    x = layers.Dense(num_classes)(x)\n"
            '    return layers.Activation("softmax", dtype="float32", name="probabilities")(x)\n',
        ),
    ),
    _right(
        "pool-object-shared",
        "One pooling layer object for both transitions: it has no weights.",
        (POOL, "    return POOLING(x)\n"),
        define="POOLING = layers.AveragePooling2D(pool_size=2, strides=2)\n",
    ),
    _right(
        "static-batch-size",
        "The network is built for batches of 64.",
        ("keras.Input(shape=input_shape)", "keras.Input(shape=input_shape, batch_size=64)"),
    ),
    _right(
        "input-batch-shape",
        "The input is given by its batch_shape.",
        ("keras.Input(shape=input_shape)", "layers.Input(batch_shape=(None, *input_shape))"),
    ),
    _right(
        "preprocess-plain-division",
        "preprocess() divides by 255 without a cast.",
        ('ops.cast(images, "float32") / 255.0', "images / 255.0"),
    ),
    _right(
        "preprocess-minus-1-to-1",
        "preprocess() maps to -1..1.",
        ('ops.cast(images, "float32") / 255.0', 'ops.cast(images, "float32") / 127.5 - 1.0'),
    ),
    _right(
        "mixed-precision",
        "The network is built under mixed precision.",
        (
            "    return build_densenet(depth=22, growth_rate=12)\n",
            '    keras.config.set_dtype_policy("mixed_bfloat16")\n'
            "    model = build_densenet(depth=22, growth_rate=12)\n"
            '    keras.config.set_dtype_policy("float32")\n'
            "    return model\n",
        ),
    ),
    _right(
        "mixed-precision-everywhere",
        "Mixed precision is set for the whole module.",
        ("import math\n", "import math\n"),
        ("\n\ndef conv(", '\nkeras.config.set_dtype_policy("mixed_float16")\n\n\ndef conv('),
    ),
    _right(
        "clone-of-the-model",
        "The trained network is a clone of what build_densenet gives.",
        (
            "    return build_densenet(depth=22, growth_rate=12)\n",
            "    return keras.models.clone_model(build_densenet(depth=22, growth_rate=12))\n",
        ),
    ),
    _right(
        "copy-from-config",
        "The trained network is made from its configuration.",
        (
            "    return build_densenet(depth=22, growth_rate=12)\n",
            "    config = build_densenet(depth=22, growth_rate=12).get_config()\n"
            "    return keras.Model.from_config(config)\n",
        ),
    ),
    _right(
        "model-inside-a-model",
        "The trained network wraps the DenseNet in another model with its scaling.",
        (
            "    return build_densenet(depth=22, growth_rate=12)\n",
            "    inputs = keras.Input((32, 32, 3))\n"
            "    x = layers.Rescaling(2.0, offset=-1.0)(inputs)\n"
            "    return keras.Model(inputs, build_densenet(depth=22, growth_rate=12)(x))\n",
        ),
    ),
    _right(
        "compiled-model",
        "The trained network comes compiled.",
        (
            "    return build_densenet(depth=22, growth_rate=12)\n",
            "    model = build_densenet(depth=22, growth_rate=12)\n"
            '    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])\n'
            "    return model\n",
        ),
    ),
    _right(
        "build-model-basic-l-13",
        "The trained network is the basic one, L = 13.",
        (
            "depth=22, growth_rate=12)",
            "depth=13, growth_rate=12, compression=1.0, bottleneck=False)",
        ),
    ),
    _right(
        "build-model-b-l-22",
        "The trained network has bottlenecks and no compression.",
        ("depth=22, growth_rate=12)", "depth=22, growth_rate=12, compression=1.0)"),
    ),
    _right(
        "build-model-bc-l-28-k-8",
        "The trained network is DenseNet-BC, L = 28, k = 8.",
        ("depth=22, growth_rate=12)", "depth=28, growth_rate=8)"),
    ),
)

RIGHT = (*ONE_DIFFERENCE, *STYLES)

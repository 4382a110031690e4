"""Right networks written in quite other styles than the reference."""

from grader.selftest.edits import BN, POOL, RELU, STEM
from grader.selftest.mutant import Edit, Mutant


def _style(name: str, why: str, *edits: Edit, define: str, runs_on_cpu: bool = True) -> Mutant:
    return Mutant(
        name, kind="right", why=why, replace=edits, define=define, runs_on_cpu=runs_on_cpu
    )


_LAYERS = '''\
class DenseLayer(layers.Layer):
    """One dense layer: its maps concatenated to its input."""

    def __init__(self, growth_rate, bottleneck, dropout_rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.bottleneck = bottleneck
        self.dropout = layers.Dropout(dropout_rate)
        if bottleneck:
            self.bn1 = layers.BatchNormalization()
            self.conv1 = layers.Conv2D(4 * growth_rate, 1, use_bias=False)
        self.bn2 = layers.BatchNormalization()
        self.conv2 = layers.Conv2D(growth_rate, 3, padding="same", use_bias=False)

    def call(self, x, training=None):
        y = x
        if self.bottleneck:
            y = self.conv1(ops.relu(self.bn1(y, training=training)))
            y = self.dropout(y, training=training)
        y = self.conv2(ops.relu(self.bn2(y, training=training)))
        y = self.dropout(y, training=training)
        return ops.concatenate([x, y], axis=-1)


class DenseBlock(layers.Layer):
    """A dense block."""

    def __init__(self, num_layers, growth_rate, bottleneck, dropout_rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.stages = [
            DenseLayer(growth_rate, bottleneck, dropout_rate) for _ in range(num_layers)
        ]

    def call(self, x, training=None):
        for stage in self.stages:
            x = stage(x, training=training)
        return x


class Transition(layers.Layer):
    """A transition layer."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.bn = layers.BatchNormalization()
        self.conv = layers.Conv2D(filters, 1, use_bias=False)
        self.pool = layers.AveragePooling2D(2)

    def call(self, x, training=None):
        return self.pool(self.conv(ops.relu(self.bn(x, training=training))))


def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    return DenseBlock(num_layers, growth_rate, bottleneck, dropout_rate)(x)


def transition(x, compression=0.5, dropout_rate=0.0):
    return Transition(int(x.shape[-1] * compression))(x)
'''

_MODEL = '''\
class DenseNet(keras.Model):
    """The whole network as a subclassed model."""

    def __init__(self, depth, growth_rate, compression, bottleneck, num_classes, dropout_rate):
        super().__init__()
        n = (depth - 4) // (6 if bottleneck else 3)
        width = 2 * growth_rate if bottleneck and compression < 1 else 16
        self.stem = layers.Conv2D(width, 3, padding="same", use_bias=False)
        self.blocks, self.transitions = [], []
        for block in range(3):
            self.blocks.append(DenseBlock(n, growth_rate, bottleneck, dropout_rate))
            width += n * growth_rate
            if block < 2:
                width = int(width * compression)
                self.transitions.append(Transition(width))
        self.bn = layers.BatchNormalization()
        self.pool = layers.GlobalAveragePooling2D()
        self.classifier = layers.Dense(num_classes, activation="softmax")

    def call(self, x, training=None):
        x = self.stem(x)
        for block in range(3):
            x = self.blocks[block](x, training=training)
            if block < 2:
                x = self.transitions[block](x, training=training)
        return self.classifier(self.pool(ops.relu(self.bn(x, training=training))))


def build_densenet(
    depth=40,
    growth_rate=12,
    compression=0.5,
    bottleneck=True,
    num_classes=10,
    input_shape=(32, 32, 3),
    dropout_rate=0.0,
):
    model = DenseNet(depth, growth_rate, compression, bottleneck, num_classes, dropout_rate)
    model.build((None, *input_shape))
    return model
'''

_RAW_TF = '''\
import tensorflow as tf


class Conv(layers.Layer):
    """A convolution by tf.nn.conv2d."""

    def __init__(self, filters, size, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.size = filters, size

    def build(self, shape):
        self.kernel = self.add_weight(
            shape=(self.size, self.size, shape[-1], self.filters), initializer="he_normal"
        )

    def call(self, x):
        return tf.nn.conv2d(x, self.kernel, strides=1, padding="SAME")


class BatchNorm(layers.Layer):
    """Batch normalisation by tf.nn.batch_normalization and moving averages of its own."""

    def build(self, shape):
        width = (shape[-1],)
        self.gamma = self.add_weight(shape=width, initializer="ones")
        self.beta = self.add_weight(shape=width, initializer="zeros")
        self.mean = self.add_weight(shape=width, initializer="zeros", trainable=False)
        self.variance = self.add_weight(shape=width, initializer="ones", trainable=False)

    def call(self, x, training=False):
        if training:
            mean, variance = tf.nn.moments(x, axes=[0, 1, 2])
            self.mean.assign(0.99 * self.mean + 0.01 * mean)
            self.variance.assign(0.99 * self.variance + 0.01 * variance)
        else:
            mean, variance = self.mean, self.variance
        return tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, 1e-3)


class Block(layers.Layer):
    """A dense block in raw TensorFlow."""

    def __init__(self, num_layers, growth_rate, bottleneck, dropout_rate, **kwargs):
        super().__init__(**kwargs)
        self.dropout = layers.Dropout(dropout_rate)
        self.stages = []
        for _ in range(num_layers):
            stage = [BatchNorm(), Conv(4 * growth_rate, 1)] if bottleneck else []
            self.stages.append([*stage, BatchNorm(), Conv(growth_rate, 3)])

    def call(self, x, training=False):
        for stage in self.stages:
            y = x
            for bn, conv in zip(stage[::2], stage[1::2]):
                y = self.dropout(conv(tf.nn.relu(bn(y, training=training))), training=training)
            x = tf.concat([x, y], axis=-1)
        return x


class Reduce(layers.Layer):
    """A transition layer in raw TensorFlow."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.bn, self.conv = BatchNorm(), Conv(filters, 1)

    def call(self, x, training=False):
        x = self.conv(tf.nn.relu(self.bn(x, training=training)))
        return tf.nn.avg_pool2d(x, ksize=2, strides=2, padding="VALID")


class Head(layers.Layer):
    """BN, ReLU, pooling, classifier, softmax in raw TensorFlow."""

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.bn, self.classes = BatchNorm(), classes

    def build(self, shape):
        self.bn.build(shape)
        self.kernel = self.add_weight(shape=(shape[-1], self.classes))
        self.bias = self.add_weight(shape=(self.classes,), initializer="zeros")

    def call(self, x, training=False):
        x = tf.reduce_mean(tf.nn.relu(self.bn(x, training=training)), axis=[1, 2])
        return tf.nn.softmax(tf.nn.bias_add(tf.matmul(x, self.kernel), self.bias))


def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    return Block(num_layers, growth_rate, bottleneck, dropout_rate)(x)


def transition(x, compression=0.5, dropout_rate=0.0):
    return Reduce(int(x.shape[-1] * compression))(x)


def head(x, num_classes):
    return Head(num_classes)(x)
'''

_NESTED = '''\
def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    """The block as a model of its own."""
    inputs = keras.Input(x.shape[1:])
    features = [inputs]
    for _ in range(num_layers):
        seen = join(features)
        features.append(dense_layer(seen, growth_rate, bottleneck, dropout_rate))
    return keras.Model(inputs, join(features))(x)


def transition(x, compression=0.5, dropout_rate=0.0):
    """The transition as a model of its own."""
    inputs = keras.Input(x.shape[1:])
    y = conv(bn_relu(inputs), int(compression * x.shape[-1]), 1)
    return keras.Model(inputs, layers.AveragePooling2D(2)(y))(x)
'''

_SEQUENTIAL = '''\
def composite(x, filters, kernel_size, dropout_rate):
    """BN, ReLU, convolution, dropout in a row."""
    return keras.Sequential(
        [
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Conv2D(filters, kernel_size, padding="same", use_bias=False),
            layers.Dropout(dropout_rate),
        ]
    )(x)


def transition(x, compression=0.5, dropout_rate=0.0):
    """The transition in a row."""
    return keras.Sequential(
        [
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(int(compression * x.shape[-1]), 1, use_bias=False),
            layers.AveragePooling2D(2),
        ]
    )(x)
'''

_SEQUENTIAL_NETWORK = """\
def build_densenet(
    depth=40,
    growth_rate=12,
    compression=0.5,
    bottleneck=True,
    num_classes=10,
    input_shape=(32, 32, 3),
    dropout_rate=0.0,
):
    n = (depth - 4) // (6 if bottleneck else 3)
    width = 2 * growth_rate if bottleneck and compression < 1 else 16
    model = keras.Sequential([keras.Input(input_shape)])
    model.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
    for block in range(3):
        model.add(DenseBlock(n, growth_rate, bottleneck, dropout_rate))
        width += n * growth_rate
        if block < 2:
            width = int(width * compression)
            model.add(Transition(width))
    model.add(layers.BatchNormalization())
    model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(num_classes))
    model.add(layers.Softmax())
    return model
"""

_OWN_BN = '''\
class OwnBatchNorm(layers.Layer):
    """Batch normalisation written out in keras.ops."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros")
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)
        self.variance = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False)

    def call(self, x, training=False):
        mean, variance = self.mean, self.variance
        if training:
            mean = ops.mean(x, axis=(0, 1, 2))
            variance = {variance}
            self.mean.assign(0.99 * self.mean + 0.01 * mean)
            self.variance.assign(0.99 * self.variance + 0.01 * variance)
        return {result}
'''


def _own_bn(result: str, variance: str = "ops.var(x, axis=(0, 1, 2))") -> str:
    return _OWN_BN.replace("{result}", result).replace("{variance}", variance)


_CHANNELS_FIRST = '''\
FIRST = {"data_format": "channels_first"}


def bn_relu_first(x):
    return layers.ReLU()(layers.BatchNormalization(axis=1)(x))


def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    """Channels first inside, channels last outside."""
    x = layers.Permute((3, 1, 2))(x)
    for _ in range(num_layers):
        y = x
        if bottleneck:
            y = layers.Conv2D(4 * growth_rate, 1, use_bias=False, **FIRST)(bn_relu_first(y))
        y = bn_relu_first(y)
        y = layers.Conv2D(growth_rate, 3, padding="same", use_bias=False, **FIRST)(y)
        x = layers.Concatenate(axis=1)([x, y])
    return layers.Permute((2, 3, 1))(x)


def transition(x, compression=0.5, dropout_rate=0.0):
    """Channels first inside, channels last outside."""
    filters = int(compression * x.shape[-1])
    x = bn_relu_first(ops.transpose(x, (0, 3, 1, 2)))
    x = layers.Conv2D(filters, 1, use_bias=False, **FIRST)(x)
    x = layers.AveragePooling2D(2, **FIRST)(x)
    return ops.transpose(x, (0, 2, 3, 1))
'''

_OWN_CONV = '''\
class OwnConv(layers.Layer):
    """A convolution by keras.ops with a kernel of its own."""

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, kernel_size

    def build(self, shape):
        size = (self.kernel_size, self.kernel_size)
        self.kernel = self.add_weight(shape=(*size, shape[-1], self.filters))
BIAS
    def call(self, x):
        return ops.conv(x, self.kernel, strides=1, padding="same")RESULT


def conv(x, filters, kernel_size):
    """A convolution, stride 1, same padding."""
    return OwnConv(filters, kernel_size)(x)
'''

STYLES = (
    _style(
        "subclassed-layers",
        "Dense layers, blocks and transitions as subclasses of Layer.",
        define=_LAYERS,
    ),
    _style(
        "subclassed-model",
        "The whole network as a subclass of Model; its weights appear when it is called.",
        define=_LAYERS + _MODEL,
    ),
    _style(
        "subclassed-model-called-once",
        "The whole network as a subclass of Model, built by calling it on a symbolic input.",
        define=_LAYERS
        + _MODEL.replace(
            "    model.build((None, *input_shape))\n", "    model(keras.Input(input_shape))\n"
        ),
    ),
    _style(
        "subclassed-model-wrapped",
        "The whole network as a subclass of Model, inside a functional one.",
        define=_LAYERS
        + _MODEL.replace(
            "    model.build((None, *input_shape))\n    return model\n",
            "    inputs = keras.Input(input_shape)\n"
            "    return keras.Model(inputs, model(inputs))\n",
        ),
    ),
    _style(
        "subclassed-models-for-blocks",
        "Blocks and transitions as subclasses of Model.",
        define=_LAYERS.replace(
            "class DenseBlock(layers.Layer)", "class DenseBlock(keras.Model)"
        ).replace("class Transition(layers.Layer)", "class Transition(keras.Model)"),
    ),
    _style(
        "subclassed-functional-model",
        "The network subclasses Model and is functional all the same.",
        (
            "    return keras.Model(inputs, outputs)\n",
            "    return Network(inputs=inputs, outputs=outputs)\n",
        ),
        define='''class Network(keras.Model):
    """A functional model with a class of its own."""
''',
    ),
    _style("raw-tf-in-layers", "Raw TensorFlow inside subclassed layers.", define=_RAW_TF),
    _style(
        "raw-tf-fused-bn",
        "tf.nn.relu and tf.concat in layers around Keras's own BN and convolution.",
        (RELU, "    return Raw(lambda t: tf.nn.relu(t))(x)\n"),
        (
            "else layers.Concatenate()(features)",
            "else Raw(lambda t: tf.concat(t, axis=-1))(features)",
        ),
        (POOL, '    return Raw(lambda t: tf.nn.avg_pool(t, 2, 2, "SAME"))(x)\n'),
        define='''import tensorflow as tf


class Raw(layers.Layer):
    """A TensorFlow function as a layer."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)
''',
    ),
    _style(
        "tf-function-inside",
        "A tf.function inside a layer.",
        (RELU, "    return Compiled()(x)\n"),
        define='''import tensorflow as tf


@tf.function
def compiled_relu(x):
    return tf.nn.relu(x)


class Compiled(layers.Layer):
    """ReLU in a tf.function."""

    def call(self, x):
        return compiled_relu(x)
''',
    ),
    _style(
        "tf-function-over-call",
        "The whole call() of a layer and of the layers in it is a tf.function.",
        (
            "new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)",
            "new = Composed(growth_rate, bottleneck, dropout_rate)(seen)",
        ),
        define='''import tensorflow as tf


class Composed(layers.Layer):
    """The composite function H of one layer."""

    def __init__(self, growth_rate, bottleneck, dropout_rate):
        super().__init__()
        widths = [(4 * growth_rate, 1)] * bottleneck + [(growth_rate, 3)]
        self.parts = []
        for filters, kernel_size in widths:
            self.parts += [
                layers.BatchNormalization(),
                layers.Activation(tf.nn.relu),
                layers.Conv2D(filters, kernel_size, padding="same"),
                layers.Dropout(dropout_rate),
            ]

    @tf.function
    def call(self, x, training=None):
        for part in self.parts:
            takes_mode = isinstance(part, (layers.BatchNormalization, layers.Dropout))
            x = part(x, training=training) if takes_mode else part(x)
        return x
''',
    ),
    _style(
        "lambda-layers",
        "ReLU, concatenation and pooling as Lambda layers with raw TensorFlow.",
        (RELU, "    return layers.Lambda(lambda t: tf.nn.relu(t))(x)\n"),
        (
            "else layers.Concatenate()(features)",
            "else layers.Lambda(lambda t: tf.concat(t, -1))(features)",
        ),
        define="import tensorflow as tf\n",
    ),
    _style(
        "lambda-mean",
        "The head's mean in a Lambda layer with raw TensorFlow.",
        (
            "    x = layers.GlobalAveragePooling2D()(x)\n",
            "    x = layers.Lambda(lambda t: tf.reduce_mean(t, [1, 2]))(x)\n",
        ),
        define="import tensorflow as tf\n",
    ),
    _style("nested-models", "Each block and transition is a model of its own.", define=_NESTED),
    _style(
        "sequential-composites",
        "Composite functions and transitions as Sequential models.",
        define=_SEQUENTIAL,
    ),
    _style(
        "sequential-network",
        "The network is one Sequential of subclassed layers.",
        define=_LAYERS + _SEQUENTIAL_NETWORK,
    ),
    _style(
        "own-bn-in-ops",
        "An own BN in keras.ops, with moving averages.",
        (BN, "    x = OwnBatchNorm()(x)\n"),
        define=_own_bn("(x - mean) * ops.rsqrt(variance + 1e-3) * self.gamma + self.beta"),
    ),
    _style(
        "own-bn-stopped-at-inference",
        "An own BN that stops the gradient where nothing is trained.",
        (BN, "    x = OwnBatchNorm()(x)\n"),
        define=_own_bn(
            "(x - mean) * ops.rsqrt(variance + 1e-3)"
            " * (self.gamma if training else ops.stop_gradient(self.gamma)) + self.beta"
        ),
    ),
    _style(
        "own-bn-folded",
        "An own BN that folds gamma and deviation into one factor first.",
        (BN, "    x = OwnBatchNorm()(x)\n"),
        define=_own_bn(
            "x * (factor := self.gamma / ops.sqrt(variance + 1e-3)) + (self.beta - mean * factor)"
        ),
    ),
    _style(
        "own-bn-by-mean-of-squares",
        "An own BN whose variance is the mean of squares less the square of the mean.",
        (BN, "    x = OwnBatchNorm()(x)\n"),
        define=_own_bn(
            "self.gamma * (x - mean) / ops.sqrt(variance + 1e-3) + self.beta",
            "ops.mean(ops.square(x - mean), axis=(0, 1, 2))",
        ),
    ),
    _style(
        "own-bn-by-keras-op",
        "An own BN by ops.moments and ops.batch_normalization.",
        (BN, "    x = OwnBatchNorm()(x)\n"),
        define=_own_bn(
            "ops.batch_normalization(x, mean, variance, -1, self.beta, self.gamma, 1e-3)",
            "ops.moments(x, (0, 1, 2))[1]",
        ),
    ),
    _style(
        "subclassed-bn",
        "A subclass of BatchNormalization that changes nothing but defaults.",
        (BN, "    x = PaperBatchNorm()(x)\n"),
        define='''class PaperBatchNorm(layers.BatchNormalization):
    """BN with a name of its own."""

    def call(self, x, training=None, mask=None):
        return super().call(x, training=training, mask=mask)
''',
    ),
    _style(
        "own-convolution",
        "An own convolution layer by ops.conv.",
        define=_OWN_CONV.replace("BIAS\n", "\n").replace("RESULT", ""),
    ),
    _style(
        "own-convolution-with-bias",
        "An own convolution layer by ops.conv, with bias.",
        define=_OWN_CONV.replace(
            "BIAS\n",
            '        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros")\n\n',
        ).replace("RESULT", " + self.bias"),
    ),
    _style(
        "own-relu-layer",
        "ReLU as a layer of one's own.",
        (RELU, "    return Rectifier()(x)\n"),
        define='''class Rectifier(layers.Layer):
    """The larger of x and zero."""

    def call(self, x):
        return ops.maximum(ops.zeros_like(x), x)
''',
    ),
    _style(
        "channels-first-inside",
        "Blocks and transitions are channels first inside.",
        define=_CHANNELS_FIRST,
        runs_on_cpu=False,
    ),
    _style(
        "classes-with-call",
        "Plain Python classes with __call__ hold the layers.",
        define='''class Composite:
    """BN, ReLU, convolution, made when it is called."""

    def __init__(self, filters, kernel_size):
        self.steps = [
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(filters, kernel_size, padding="same", use_bias=False),
        ]

    def __call__(self, x):
        for step in self.steps:
            x = step(x)
        return x


def dense_layer(x, growth_rate, bottleneck, dropout_rate):
    """H, made of composites."""
    x = Composite(4 * growth_rate, 1)(x) if bottleneck else x
    return drop(Composite(growth_rate, 3)(x), dropout_rate)
''',
    ),
    _style(
        "closures",
        "Functions that return functions, composed with reduce.",
        define="""import functools


def chain(*functions):
    return lambda x: functools.reduce(lambda value, function: function(value), functions, x)


def h(filters, size):
    return chain(
        layers.BatchNormalization(),
        ops.relu,
        layers.Conv2D(filters, size, padding="same", use_bias=False),
    )


def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    def grow(x, _):
        first = h(4 * growth_rate, 1) if bottleneck else lambda x: x
        y = chain(first, h(growth_rate, 3), lambda y: drop(y, dropout_rate))(x)
        return layers.concatenate([x, y])

    return functools.reduce(grow, range(num_layers), x)
""",
    ),
    _style(
        "recursion",
        "A block of n layers is a block of n - 1 layers and one more.",
        define='''def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    """Recursive in the number of layers."""
    if num_layers == 0:
        return x
    x = dense_block(x, num_layers - 1, growth_rate, bottleneck, dropout_rate)
    return join([x, dense_layer(x, growth_rate, bottleneck, dropout_rate)])
''',
    ),
    _style(
        "recursion-from-the-front",
        "A block of n layers is one layer, then a block of n - 1 layers.",
        define='''def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    """Recursive in the number of layers, the other way."""
    if num_layers == 0:
        return x
    x = join([x, dense_layer(x, growth_rate, bottleneck, dropout_rate)])
    return dense_block(x, num_layers - 1, growth_rate, bottleneck, dropout_rate)
''',
    ),
    _style(
        "layers-with-names",
        "All layers have names of their own.",
        (BN, '    x = layers.BatchNormalization(name=f"norm_{next(NUMBER)}")(x)\n'),
        (RELU, '    return layers.ReLU(name=f"act_{next(NUMBER)}")(x)\n'),
        (
            'padding="same", use_bias=False,',
            'padding="same", use_bias=False, name=f"unit_{next(NUMBER)}",',
        ),
        define="import itertools\n\nNUMBER = itertools.count()\n",
    ),
    _style(
        "misleading-names",
        "Layers have the names of other layers; names prove nothing.",
        (BN, '    x = layers.BatchNormalization(name=f"max_pooling_{next(NUMBER)}")(x)\n'),
        (RELU, '    return layers.ReLU(name=f"add_{next(NUMBER)}")(x)\n'),
        define="import itertools\n\nNUMBER = itertools.count()\n",
    ),
    _style(
        "padded-crop-in-training",
        "Pad-and-crop augmentation by a layer that does nothing at inference.",
        (STEM, "    x = conv(PadAndCrop()(inputs), stem, 3)\n"),
        define='''class PadAndCrop(layers.Layer):
    """Zero padding and a random crop, in training only."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x, training=False):
        if not training:
            return x
        height, width = x.shape[1:3]
        padded = ops.pad(x, [[0, 0], [4, 4], [4, 4], [0, 0]])
        at = keras.random.randint((2,), 0, 9, seed=self.seed)
        start = ops.stack([0, at[0], at[1], 0])
        return ops.slice(padded, start, (ops.shape(x)[0], height, width, x.shape[3]))
''',
    ),
    _style(
        "normalization-layer-adapted",
        "A Normalization layer, adapted to data, inside the trained network.",
        (
            "    return build_densenet(depth=22, growth_rate=12)\n",
            "    scaling = layers.Normalization()\n"
            "    data = [[[[0.2 * i, 0.1 * i + 0.3, 0.7 - 0.1 * i]]] for i in range(6)]\n"
            '    scaling.adapt(ops.convert_to_tensor(data, "float32"))\n'
            "    inputs = keras.Input((32, 32, 3))\n"
            "    model = build_densenet(depth=22, growth_rate=12)\n"
            "    return keras.Model(inputs, model(scaling(inputs)))\n",
        ),
        define="",
    ),
    _style(
        "network-written-out",
        "build_densenet without the helpers, in one loop.",
        define='''def build_densenet(
    depth=40,
    growth_rate=12,
    compression=0.5,
    bottleneck=True,
    num_classes=10,
    input_shape=(32, 32, 3),
    dropout_rate=0.0,
):
    """Everything in one function."""
    reduction, k = compression, growth_rate
    per_block = (depth - 4) // 3 // (2 if bottleneck else 1)
    img = keras.Input(input_shape)
    width = 2 * k if bottleneck and reduction < 1 else 16
    net = layers.Conv2D(width, 3, 1, "same", use_bias=False)(img)
    for i in range(3):
        for _ in range(per_block):
            y = net
            if bottleneck:
                y = layers.Activation("relu")(layers.BatchNormalization()(y))
                y = layers.Conv2D(4 * k, 1, use_bias=False)(y)
                y = layers.Dropout(dropout_rate)(y) if dropout_rate else y
            y = layers.Activation("relu")(layers.BatchNormalization()(y))
            y = layers.Conv2D(k, 3, padding="same", use_bias=False)(y)
            y = layers.Dropout(dropout_rate)(y) if dropout_rate else y
            net = layers.concatenate([net, y])
            width += k
        net = layers.Activation("relu")(layers.BatchNormalization()(net))
        if i == 2:
            break
        width = int(width * reduction)
        net = layers.Conv2D(width, 1, use_bias=False)(net)
        net = layers.AveragePooling2D(2, 2)(net)
    net = layers.GlobalAveragePooling2D()(net)
    return keras.Model(img, layers.Dense(num_classes, activation="softmax")(net))
''',
    ),
    _style(
        "rematerialisation",
        "Composite functions are recomputed in the backward pass to save memory.",
        define='''class Remat(layers.Layer):
    """BN, ReLU, convolution, recomputed for the gradient."""

    def __init__(self, filters, size, **kwargs):
        super().__init__(**kwargs)
        self.bn = layers.BatchNormalization()
        self.conv = layers.Conv2D(filters, size, padding="same", use_bias=False)

    def build(self, shape):
        self.bn.build(shape)
        self.conv.build(shape)

    def call(self, x, training=None):
        x = self.bn(x, training=training)
        return keras.remat(lambda t: self.conv(ops.relu(t)))(x)


def composite(x, filters, kernel_size, dropout_rate):
    """BN, ReLU, convolution."""
    return drop(Remat(filters, kernel_size)(x), dropout_rate)
''',
    ),
    _style(
        "transition-in-layer-style",
        "The transition as one layer without ReLU, pooling by keras.ops.",
        define='''class Shrink(layers.Layer):
    """BN, 1 x 1 convolution, 2 x 2 mean."""

    def __init__(self, compression, **kwargs):
        super().__init__(**kwargs)
        self.compression = compression
        self.bn = layers.BatchNormalization()

    def build(self, shape):
        self.bn.build(shape)
        self.conv = layers.Conv2D(int(self.compression * shape[-1]), 1)
        self.conv.build(shape)

    def call(self, x, training=None):
        return ops.average_pool(self.conv(self.bn(x, training=training)), 2, 2, "same")


def transition(x, compression=0.5, dropout_rate=0.0):
    return Shrink(compression)(x)
''',
    ),
    _style(
        "basic-and-bottleneck-apart",
        "Two layer functions, chosen by the flag from a dictionary.",
        (
            "new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)",
            "new = LAYERS[bool(bottleneck)](seen, growth_rate)",
        ),
        define="""def basic(x, k):
    return layers.Conv2D(k, 3, padding="same")(ops.relu(layers.BatchNormalization()(x)))


def narrow(x, k):
    return basic(layers.Conv2D(4 * k, 1)(ops.relu(layers.BatchNormalization()(x))), k)


LAYERS = {False: basic, True: narrow}
""",
    ),
)

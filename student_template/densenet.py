"""DenseNet for 32×32 images, in Keras. Your task: `dense_block` and `transition`.

The paper: Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks",
arXiv 1608.06993. Sections are named below. Tensors are channels last: (batch, height, width,
channels).

Any style of Keras is fine: layers and calls as below, classes of your own, keras.ops. What counts
is what the network computes.
"""

import keras
from keras import layers, ops


def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    """A dense block: each layer receives the block's input and the outputs of all layers before it.

    Layer l computes x_l = H_l([x_0, x_1, ..., x_{l-1}]) (section 3, "Dense connectivity", eq. 2).
    [...] is concatenation along the channels. H_l is the composite function of section 3:

        bottleneck=False    batch norm, ReLU, 3×3 convolution to k maps
        bottleneck=True     batch norm, ReLU, 1×1 convolution to 4k maps,
                            batch norm, ReLU, 3×3 convolution to k maps
                            (section 3, "Bottleneck layers")

    Convolutions have stride 1 and padding "same", so height and width stay as they are. Dropout, if
    its rate is not 0, follows each convolution (section 4.2, "Training").

    Args:
        x: Tensor (batch, height, width, channels); x_0 of the equation.
        num_layers: Layers in this block.
        growth_rate: k, the maps that each layer adds (section 3, "Growth rate").
        bottleneck: Which composite function.
        dropout_rate: Share of activations set to zero in training.

    Returns:
        Tensor (batch, height, width, channels + num_layers * growth_rate): the block's input and
        the output of every layer, concatenated.

    Example:
        x of shape (1, 8, 8, 6), num_layers=2, growth_rate=4, bottleneck=True:

            layer 1 receives  6 maps             1×1 to 16   3×3 to 4     716 trainable parameters
            layer 2 receives 10 maps (6 + 4)     1×1 to 16   3×3 to 4     788 trainable parameters
            the block returns 14 maps (6 + 4 + 4): shape (1, 8, 8, 14)

        716 = 2·6 (batch norm) + 6·16 (1×1) + 2·16 (batch norm) + 9·16·4 (3×3), without biases.
    """
    raise NotImplementedError("dense_block is yours to write: section 3 of the paper")


def transition(x, compression=0.5, dropout_rate=0.0):
    """The layers between two dense blocks: fewer maps, half the height and width.

    Batch norm, ReLU, 1×1 convolution, 2×2 average pooling with stride 2 (section 3, "Pooling
    layers"). The convolution gives ⌊θm⌋ maps from m, θ the compression factor (section 3,
    "Compression"). Dropout, if its rate is not 0, follows the convolution.

    Args:
        x: Tensor (batch, height, width, channels); height and width are even.
        compression: θ, 0 < θ <= 1.
        dropout_rate: Share of activations set to zero in training.

    Returns:
        Tensor (batch, height / 2, width / 2, ⌊compression · channels⌋).

    Example:
        x of shape (1, 8, 8, 15), compression=0.5:

            ⌊0.5 · 15⌋ = 7 maps, shape (1, 4, 4, 7)
            135 trainable parameters: 2·15 (batch norm) + 15·7 (1×1), without biases
    """
    raise NotImplementedError("transition is yours to write: section 3 of the paper")


def build_densenet(
    depth=40,
    growth_rate=12,
    compression=0.5,
    bottleneck=True,
    num_classes=10,
    input_shape=(32, 32, 3),
    dropout_rate=0.0,
):
    """The whole network from your two parts. Given; you need not change it.

    Stem, three dense blocks with two transitions between them, head (section 3, "Implementation
    Details").

    Args:
        depth: L, counted in weight layers: L = 6n + 4 with bottlenecks, 3n + 4 without, for n
            layers in each block.
        growth_rate: k.
        compression: θ.
        bottleneck: Whether dense layers have the 1×1 convolution.
        num_classes: Classes.
        input_shape: (height, width, channels).
        dropout_rate: Share of activations set to zero in training, after each convolution but the
            first.

    Returns:
        A keras.Model from images to class probabilities.
    """
    layers_per_block = (depth - 4) // (6 if bottleneck else 3)
    stem_maps = 2 * growth_rate if bottleneck and compression < 1 else 16

    inputs = keras.Input(input_shape)
    x = layers.Conv2D(stem_maps, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(
        inputs
    )
    x = dense_block(x, layers_per_block, growth_rate, bottleneck, dropout_rate)
    x = transition(x, compression, dropout_rate)
    x = dense_block(x, layers_per_block, growth_rate, bottleneck, dropout_rate)
    x = transition(x, compression, dropout_rate)
    x = dense_block(x, layers_per_block, growth_rate, bottleneck, dropout_rate)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(num_classes, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def build_model():
    """The network you train, whose weights you hand in. Choose the sizes your machine can train."""
    return build_densenet(depth=40, growth_rate=12)


def preprocess(images):
    """What the network eats. Images are uint8, RGB, (N, 32, 32, 3), 0..255. Given."""
    return ops.cast(images, "float32") / 255.0

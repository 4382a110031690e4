"""AlexNet, VGG-16, ResNet, MobileNet and DenseNet-121, narrow, each in right styles and wrong ones.

A submission like any other: the tests send it through the sandbox's tracing stage once. A name
`family__right_...` computes the same network as `family`, `family__wrong_...` does not.

Sources: Krizhevsky 2012 (sec. 3.5), Simonyan 2015 (table 1, D), He 2016 (tables 1 and 6), Sandler
2018 (table 1; with the gates of Hu 2018, fig. 3), Huang 2017 (table 1).
"""

import keras
import tensorflow as tf
from keras import layers as kl
from keras import ops

CLASSES = 5


# --- AlexNet: eight layers, overlapping pooling, two towers --------------------------------


class LocalResponse(kl.Layer):
    def __init__(self, radius=2, bias=2.0):
        super().__init__()
        self.radius, self.bias = radius, bias

    def call(self, x):
        return tf.nn.local_response_normalization(
            x, self.radius, bias=self.bias, alpha=1e-4, beta=0.75
        )


def towers(x, maps, size, activation="relu", reverse=False):
    """A convolution of two groups as two convolutions side by side."""
    halves = ops.split(x, 2, axis=-1)
    parts = [kl.Conv2D(maps // 2, size, padding="same", activation=activation) for _ in halves]
    order = [1, 0] if reverse else [0, 1]
    done = {i: parts[i](halves[i]) for i in order}
    return kl.Concatenate()([done[0], done[1]])


def alexnet(
    pool=3,
    groups=2,
    response=True,
    radius=2,
    dense=(64, 64),
    third=24,
    drop=0.5,
    style="",
    stride=4,
    bias=2.0,
    behind_pooling=False,
    pads="valid",
):
    inputs = keras.Input((99, 99, 3))

    def convolution(x, maps, size, groups):
        if groups == 2 and style == "towers":
            return towers(x, maps, size, reverse=maps == 16)
        if style == "ops":
            x = kl.ZeroPadding2D(size // 2)(x)
            return ops.relu(kl.Conv2D(maps, size, groups=groups)(x))
        return kl.Conv2D(maps, size, padding="same", groups=groups, activation="relu")(x)

    def pooled(x):
        if response and not behind_pooling:
            x = LocalResponse(radius, bias)(x)
        x = kl.MaxPooling2D(pool, 2, padding=pads)(x)
        return LocalResponse(radius, bias)(x) if behind_pooling else x

    x = kl.Conv2D(6, 11, strides=stride)(inputs)
    x = pooled(kl.ReLU()(x))
    x = pooled(convolution(x, 16, 5, groups))
    x = convolution(x, third, 3, 1)
    x = convolution(x, 24, 3, groups)
    x = convolution(x, 16, 3, groups)
    x = kl.MaxPooling2D(pool, 2)(x)
    if style == "convolutional":
        x = kl.Conv2D(dense[0], x.shape[1], activation="relu")(x)
        x = kl.Dropout(0.5)(x)
        x = kl.Conv2D(dense[1], 1, activation="relu")(x)
        x = kl.Dropout(0.5)(x)
        return keras.Model(inputs, kl.Softmax()(kl.Flatten()(kl.Conv2D(CLASSES, 1)(x))))
    x = kl.Permute((3, 1, 2))(x) if style == "turned" else x
    x = kl.Flatten()(x)
    for width in dense:
        x = kl.Dense(width)(x)
        x = kl.ReLU()(kl.Dropout(drop)(x)) if style == "turned" else kl.Dropout(drop)(kl.ReLU()(x))
    last = "log_softmax" if style == "turned" else "softmax"
    return keras.Model(inputs, kl.Dense(CLASSES, activation=last)(x))


def alexnet__right_turned_before_it_is_flattened_and_dropped_before_relu():
    return alexnet(style="turned")


def alexnet__wrong_bias_of_the_response():
    return alexnet(bias=1.0)


def alexnet__wrong_response_behind_the_pooling():
    return alexnet(behind_pooling=True)


def alexnet__wrong_rate_of_the_dropout():
    return alexnet(drop=0.4)


def alexnet__wrong_pooling_to_the_ceiling():
    return alexnet(pads="same")


def alexnet__right_towers():
    return alexnet(style="towers")


def alexnet__right_written_with_ops():
    return alexnet(style="ops")


def alexnet__right_fully_convolutional():
    return alexnet(style="convolutional")


def alexnet__wrong_pooling_does_not_overlap():
    return alexnet(pool=2)


def alexnet__wrong_one_group():
    return alexnet(groups=1)


def alexnet__wrong_narrow_third_convolution():
    return alexnet(third=16)


def alexnet__wrong_seven_layers():
    return alexnet(dense=(64,))


def alexnet__wrong_radius_of_the_response():
    return alexnet(radius=1)


# --- VGG-16 --------------------------------------------------------------------------------

VGG = ((4, 2), (8, 2), (16, 3), (32, 3), (32, 3))


def vgg(
    plan=VGG, size=3, activation="relu", pool="max", dense=2, style="", shared=False, bias=True,
    narrow_last=False,
):  # fmt: skip
    inputs = keras.Input((32, 32, 3))
    layers = []
    for maps, repeats in plan:
        again = kl.Conv2D(maps, size, padding="same", activation=activation) if shared else None
        for i in range(repeats):
            if again is not None and i > 1:
                layers.append(again)
                layers[-2] = again
            elif style == "apart":
                layers += [kl.ZeroPadding2D(1), kl.Conv2D(maps, size)]
                layers.append(kl.Activation("relu"))
            elif style == "late" and i == repeats - 1:
                layers.append(kl.Conv2D(maps, size, padding="same"))
            else:
                own = 1 if narrow_last and i == 2 else size
                layers.append(
                    kl.Conv2D(maps, own, padding="same", activation=activation, use_bias=bias)
                )
        layers.append(kl.MaxPooling2D() if pool == "max" else kl.AveragePooling2D(2))
        if style == "late":
            layers.append(kl.ReLU())
    layers.append(kl.Flatten())
    for _ in range(dense):
        layers += [kl.Dense(32, activation=activation), kl.Dropout(0.5)]
    layers.append(kl.Dense(CLASSES, activation=None if style == "late" else "softmax"))
    if style == "subclass":
        return Chain(layers)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


class Chain(keras.Model):
    def __init__(self, layers):
        super().__init__()
        self.chain = layers

    def call(self, x, training=None):
        for layer in self.chain:
            x = layer(x, training=training) if isinstance(layer, kl.Dropout) else layer(x)
        return x


def vgg__right_subclassed():
    return vgg(style="subclass")


def vgg__right_padding_and_activation_apart():
    return vgg(style="apart")


def vgg__right_relu_behind_the_pooling_and_logits():
    return vgg(style="late")


def vgg__wrong_thirteen_layers():
    return vgg(plan=((4, 2), (8, 2), (16, 2), (32, 2), (32, 2)))


def vgg__wrong_average_pooling():
    return vgg(pool="average")


def vgg__wrong_kernels_of_five():
    return vgg(size=5)


def vgg__wrong_wide_last_stage():
    return vgg(plan=(*VGG[:4], (48, 3)))


def vgg__wrong_without_biases():
    return vgg(bias=False)


def vgg__wrong_configuration_c():
    return vgg(narrow_last=True)


def vgg__wrong_shared_convolutions():
    return vgg(shared=True)


# --- ResNet --------------------------------------------------------------------------------


class Normalised(kl.Layer):
    """A layer of one's own whose mode has a default, as many write it."""

    def __init__(self, maps, size, strides, relu):
        super().__init__()
        self.convolution = kl.Conv2D(maps, size, strides, padding="same", use_bias=False)
        self.norm = kl.BatchNormalization()
        self.relu = relu

    def call(self, x, training=False):
        x = self.norm(self.convolution(x), training=training)
        return ops.relu(x) if self.relu else x


def normalised(x, maps, size, strides=1, relu=True, bias=False, style="", trainable=True):
    if style == "own layer":
        return Normalised(maps, size, strides, relu)(x)
    if style == "padded" and size > 1:
        total = size - 1
        before = (total // 2) if strides == 1 else (total - 1) // 2
        x = kl.ZeroPadding2D(((before, total - before), (before, total - before)))(x)
        x = kl.Conv2D(maps, size, strides, use_bias=bias)(x)
    else:
        x = kl.Conv2D(maps, size, strides, padding="same", use_bias=bias)(x)
    x = kl.BatchNormalization(trainable=trainable)(x)
    if not relu:
        return x
    return ops.maximum(x, 0.0) if style == "padded" else kl.ReLU()(x)


def resnet(
    bottleneck=False,
    plan=(2, 2),
    shortcut="projection",
    order="",
    stride_at="first",
    last_relu=False,
    style="",
    skip=True,
    frozen=False,
    expansion=4,
    sum_first=False,
    no_relu_behind=None,
):
    inputs = keras.Input((32, 32, 3))
    x = normalised(inputs, 8, 7, 2, style=style)
    x = kl.MaxPooling2D(3, 2, padding="same")(x)
    for stage, repeats in enumerate(plan):
        maps = 8 * 2**stage
        wide = maps * expansion if bottleneck else maps
        for i in range(repeats):
            strides = 2 if stage and not i else 1
            entry = x

            def projected(entry=entry, wide=wide, strides=strides):
                if entry.shape[-1] == wide:
                    return entry
                if shortcut == "pooled":
                    y = kl.AveragePooling2D(strides)(entry) if strides > 1 else entry
                    return normalised(y, wide, 1, relu=False)
                return normalised(
                    entry, wide, 1, strides, relu=False, bias=style == "biased", style=style
                )

            before = projected() if order == "shortcut first" else None
            if bottleneck:
                one, three = (strides, 1) if stride_at == "first" else (1, strides)
                y = normalised(x, maps, 1, one, style=style)
                y = normalised(y, maps, 3, three, style=style)
                y = normalised(y, wide, 1, relu=last_relu, style=style)
            else:
                y = normalised(x, maps, 3, strides, style=style, trainable=not (frozen and i))
                y = normalised(y, maps, 3, relu=last_relu, bias=style == "biased", style=style)
            other = before if before is not None else projected()
            if sum_first:
                y = kl.Conv2D(wide, 3, padding="same", use_bias=False)(y)
                x = kl.ReLU()(kl.BatchNormalization()(kl.Add()([y, other])))
                continue
            if no_relu_behind == (stage, i):
                x = kl.Add()([y, other])
                continue
            if not skip and stage == 1 and i == 1:
                x = kl.ReLU()(y)
                continue
            x = (
                ops.relu(other + y)
                if order == "shortcut first"
                else kl.ReLU()(kl.Add()([y, other]))
            )
    if style == "padded":
        x = kl.Flatten()(kl.AveragePooling2D(x.shape[1])(x))
    else:
        x = kl.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, kl.Dense(CLASSES, activation="softmax")(x))


def basic():
    return resnet()


def basic__right_shortcut_first():
    return resnet(order="shortcut first")


def basic__right_padding_apart():
    return resnet(style="padded")


def basic__right_idle_biases():
    return resnet(style="biased")


def basic__right_layers_of_its_own():
    return resnet(style="own layer")


def basic__wrong_one_shortcut_missing():
    return resnet(skip=False)


def basic__wrong_relu_before_the_sum():
    return resnet(last_relu=True)


def basic__wrong_pooled_shortcut():
    return resnet(shortcut="pooled")


def basic__wrong_a_convolution_more_and_the_sum_before_its_normalisation():
    return resnet(sum_first=True)


def basic__wrong_no_relu_behind_one_sum():
    return resnet(no_relu_behind=(1, 0))


def basic__wrong_three_blocks():
    return resnet(plan=(2, 3))


def basic__wrong_frozen_normalisation():
    return resnet(frozen=True)


def bottleneck():
    return resnet(bottleneck=True)


def bottleneck__right_shortcut_first():
    return resnet(bottleneck=True, order="shortcut first")


def bottleneck__right_padding_apart():
    return resnet(bottleneck=True, style="padded")


def bottleneck__right_nested_model():
    inner = resnet(bottleneck=True)
    inputs = keras.Input((32, 32, 3))
    return keras.Model(inputs, inner(kl.Identity()(inputs)))


def bottleneck__wrong_stride_in_the_middle():
    return resnet(bottleneck=True, stride_at="middle")


def bottleneck__wrong_expansion():
    return resnet(bottleneck=True, expansion=2)


def bottleneck__wrong_relu_before_the_sum():
    return resnet(bottleneck=True, last_relu=True)


def bottleneck__wrong_one_block_missing():
    return resnet(bottleneck=True, plan=(2, 1))


def bottleneck__wrong_pooled_shortcut():
    return resnet(bottleneck=True, shortcut="pooled")


# --- MobileNet v2, with gates ---------------------------------------------------------------


def mobilenet(
    style="", act="relu6", multiplier=1, gate=4, linear=True, skip=True, gating="sigmoid"
):
    inputs = keras.Input((24, 24, 3))

    def activated(x):
        return kl.ReLU(6.0)(x) if act == "relu6" else kl.Activation(act)(x)

    def gated(y, width):
        if style == "grouped":
            w = kl.Dense(gate, activation="relu")(kl.GlobalAveragePooling2D()(y))
            w = kl.Reshape((1, 1, width))(kl.Dense(width, activation=gating)(w))
            return y * w
        w = kl.Conv2D(gate, 1, activation="relu")(kl.GlobalAveragePooling2D(keepdims=True)(y))
        return kl.Multiply()([y, kl.Conv2D(width, 1, activation=gating)(w)])

    def depthwise(y, width, strides):
        if style == "grouped":
            return kl.Conv2D(width, 3, strides, padding="same", groups=width, use_bias=False)(y)
        return kl.DepthwiseConv2D(
            3, strides, padding="same", depth_multiplier=multiplier, use_bias=False
        )(y)

    x = normalised(inputs, 6, 3, 2, relu=False)
    x = activated(x)
    for maps, strides in ((6, 1), (8, 2)):
        width = 4 * x.shape[-1]
        y = activated(normalised(x, width, 1, relu=False))
        y = activated(kl.BatchNormalization()(depthwise(y, width, strides)))
        y = normalised(gated(y, y.shape[-1]) if gate else y, maps, 1, relu=False)
        y = y if linear else activated(y)
        x = kl.Add()([x, y]) if skip and strides == 1 else y
    x = kl.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, kl.Dense(CLASSES, activation="softmax")(x))


def mobilenet__right_groups_of_one_map_and_gates_of_dense_layers():
    return mobilenet(style="grouped")


def mobilenet__wrong_relu():
    return mobilenet(act="relu")


def mobilenet__wrong_two_maps_for_each():
    return mobilenet(multiplier=2)


def mobilenet__wrong_ratio_of_the_gates():
    return mobilenet(gate=3)


def mobilenet__wrong_gates_of_tanh():
    return mobilenet(gating="tanh")


def mobilenet__wrong_activation_of_the_last_convolution():
    return mobilenet(linear=False)


def mobilenet__wrong_no_skip():
    return mobilenet(skip=False)


# --- a maximum of branches, an average of branches ------------------------------------------


def maxout(combine="maximum", order=False):
    """Goodfellow 2013: the maximum of two convolutions; no order among them."""
    inputs = keras.Input((12, 12, 3))
    x = kl.Conv2D(6, 3, padding="same")(inputs)
    for size in (3, 5):
        branches = [kl.Conv2D(6, 1)(x), kl.Conv2D(6, size, padding="same")(x)]
        branches = branches[::-1] if order else branches
        x = kl.Maximum()(branches) if combine == "maximum" else kl.Average()(branches)
    return keras.Model(inputs, kl.Dense(CLASSES)(kl.GlobalAveragePooling2D()(x)))


def maxout__right_other_order():
    return maxout(order=True)


def maxout__wrong_average():
    return maxout(combine="average")


# --- DenseNet-121 --------------------------------------------------------------------------


def densenet121(link=True, pads="written out", growth=32, at_once=False):
    """From the paper's table for ImageNet, with the padding of the authors' code."""

    def composite(x, maps, size):
        x = kl.ReLU()(kl.BatchNormalization()(x))
        return kl.Conv2D(maps, size, padding="same", use_bias=False)(x)

    inputs = keras.Input((64, 64, 3))
    x = inputs
    if pads == "written out":
        x = kl.ZeroPadding2D(3)(x)
    x = kl.Conv2D(64, 7, 2, padding="valid" if pads == "written out" else "same", use_bias=False)(x)
    x = kl.ReLU()(kl.BatchNormalization()(x))
    if pads == "written out":
        x = kl.ZeroPadding2D(1)(x)
    x = kl.MaxPooling2D(3, 2, padding="valid" if pads == "written out" else "same")(x)
    for number, layers in enumerate((6, 12, 24, 16)):
        everything = [x]
        for layer in range(layers):
            known = everything
            if not link and (number, layer) == (1, 7):
                known = [*everything[:3], *everything[4:]]
            entry = kl.Concatenate()(known) if len(known) > 1 else known[0]
            new = composite(composite(entry, 4 * growth, 1), growth, 3)
            everything.append(new)
        x = kl.Concatenate()(everything[::-1] if at_once else everything)
        if number < 3:
            x = composite(x, x.shape[-1] // 2, 1)
            x = kl.AveragePooling2D(2)(x)
    x = kl.ReLU()(kl.BatchNormalization()(x))
    x = kl.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, kl.Dense(CLASSES, activation="softmax")(x))


def densenet121__right_of_keras():
    return keras.applications.DenseNet121(weights=None, input_shape=(64, 64, 3), classes=CLASSES)


def densenet121__wrong_padding_at_the_end_only():
    return densenet121(pads="same")


def densenet121__wrong_one_link_missing():
    return densenet121(link=False)

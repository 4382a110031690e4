"""What stands behind each check of a DenseNet: the paper's sentence, where its picture is, and the
mistakes that are made there. `grade explain` shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """One check explained.

    Attributes:
        section: Where the paper says it.
        quote: Its sentence, as it stands there.
        parts: Which rows of the drawn network show it, by how their names begin; none for all.
        mistakes: What is often written, and what to write instead.
    """

    section: str
    quote: str
    parts: tuple[str, ...] = ()
    mistakes: tuple[tuple[str, str], ...] = ()


DENSE, COMPOSITE = "section 3, Dense connectivity, eq. 2", "section 3, Composite function"
GROWTH, BOTTLENECK = "section 3, Growth rate", "section 3, Bottleneck layers"
POOLING, COMPRESSION = "section 3, Pooling layers", "section 3, Compression"
DETAILS = "section 3, Implementation Details"
BLOCK, TRANSITION = "block", "transition"

CONNECTED = (
    "Consequently, the ℓth layer receives the feature-maps of all preceding layers, "
    "x0, …, xℓ−1, as input: xℓ = Hℓ([x0, x1, …, xℓ−1])"
)
THREE_OPERATIONS = (
    "we define Hℓ(·) as a composite function of three consecutive operations: batch normalization "
    "(BN), followed by a rectified linear unit (ReLU) and a 3×3 convolution (Conv)."
)
K_MAPS = (
    "If each function Hℓ produces k feature-maps, it follows that the ℓth layer has k0 + k × (ℓ−1) "
    "input feature-maps, where k0 is the number of channels in the input layer."
)
FOUR_K = "In our experiments, we let each 1×1 convolution produce 4k feature-maps."
THETA_M = (
    "If a dense block contains m feature-maps, we let the following transition layer generate ⌊θm⌋ "
    "output feature-maps, where 0 < θ ≤ 1 is referred to as the compression factor."
)
BETWEEN_BLOCKS = (
    "The transition layers used in our experiments consist of a batch normalization layer and an "
    "1×1 convolutional layer followed by a 2×2 average pooling layer."
)
THREE_BLOCKS = (
    "the DenseNet used in our experiments has three dense blocks that each has an equal number of "
    "layers."
)
FIRST = (
    "Before entering the first dense block, a convolution with 16 (or twice the growth rate for "
    "DenseNet-BC) output channels is performed on the input images."
)
LAST = (
    "At the end of the last dense block, a global average pooling is performed and then a softmax "
    "classifier is attached."
)
SIZES = "The feature-map sizes in the three dense blocks are 32×32, 16×16, and 8×8, respectively."

NO_RETURN = ("`return` inside the loop, or none", "one `return x`, behind the loop")
WIDTH = ("round(θ·m), or a number written out", "int(compression * x.shape[-1])")
LAST_LAYER_ALONE = ("x = new", "x and new joined: Concatenate()([x, new])")
FIXED = ("12 for k, 10 for classes, 40 for L", "the arguments, wherever the paper has a letter")
SHARED = ("one layer object called in several places", "a new layer object for every place")
COUNTS = (
    "a bias, a scale left out, a layer too many",
    "each convolution and batch norm once, as the paper has it",
)

LINKED = frozenset({"block-shape", "growth", "dense-connectivity"})
"""Checks for which it is drawn who receives what within a block."""
EXPLANATIONS: dict[str, Explanation] = {
    "module-contract": Explanation(
        "the assignment sheet",
        "dense_block and transition are yours; build_densenet, build_model and preprocess are "
        "given and may be changed.",
        mistakes=(
            ("training, downloads or input() when it is imported",
             'below `if __name__ == "__main__":`'),
            ("import torch, google.colab or a file that is not there",
             "the standard library, NumPy, Keras and TensorFlow"),
        ),
    ),
    "block-shape": Explanation(
        GROWTH, K_MAPS, (BLOCK,),
        (LAST_LAYER_ALONE, NO_RETURN, ("padding left out", 'padding="same"')),
    ),
    "transition-shape": Explanation(
        COMPRESSION, THETA_M, (TRANSITION,), (WIDTH, ("AveragePooling2D(2, strides=1)",
                                                     "AveragePooling2D(2)")),
    ),
    "network-shape": Explanation(
        DETAILS, SIZES, ("stem", TRANSITION, "head"),
        (("Dense(10)", "Dense(num_classes)"), ("pooling or a stride in the stem", "neither")),
    ),
    "growth": Explanation(
        GROWTH, K_MAPS, (BLOCK,), (FIXED, ("k that grows from layer to layer", "always k")),
    ),
    "parameter-count-block": Explanation(BOTTLENECK, FOUR_K, (BLOCK,), (COUNTS, SHARED)),
    "parameter-count-transition": Explanation(
        COMPRESSION, THETA_M, (TRANSITION,), (WIDTH, COUNTS),
    ),
    "parameter-count-network": Explanation(
        DETAILS, THREE_BLOCKS, (),
        (("n = (L − 4) / 3 with bottlenecks", "n = (L − 4) / 6 with them, / 3 without"), SHARED),
    ),
    "build-model-parameters": Explanation(
        DETAILS, THREE_BLOCKS, (), (("further layers in build_model()", "build_densenet(…) alone"),)
    ),
    "composite-function": Explanation(
        COMPOSITE, THREE_OPERATIONS, (BLOCK,),
        (("Conv → BN → ReLU, as in other networks", "BN → ReLU → Conv"),
         ("activation=\"relu\" in the convolution", "a ReLU in front of it"),
         ("a kernel of 1×1 or 5×5", "3×3")),
    ),
    "dense-connectivity": Explanation(
        DENSE, CONNECTED, (BLOCK,),
        (LAST_LAYER_ALONE, ("Add()([x, new]), as in a ResNet", "Concatenate()([x, new])"),
         ("the new layers joined, without the block's input", "begin with [x]")),
    ),
    "bottleneck": Explanation(
        BOTTLENECK, FOUR_K, (BLOCK,),
        (("always, or never, a 1×1 convolution", "where bottleneck is True"),
         ("2k maps, or 48", "4 * growth_rate"),
         ("one BN-ReLU for both convolutions", "BN and ReLU before each")),
    ),
    "transition-layer": Explanation(
        POOLING, BETWEEN_BLOCKS, (TRANSITION,),
        (("MaxPooling2D", "AveragePooling2D(2)"), ("a convolution of stride 2", "stride 1"),
         ("pooling before the convolution", "behind it"), WIDTH),
    ),
    "stem": Explanation(
        DETAILS, FIRST, ("stem",),
        (("BN and ReLU behind it", "nothing: each layer begins with its own"),
         ("7×7 and max pooling, as for ImageNet", "3×3, and no pooling")),
    ),
    "head": Explanation(
        DETAILS, LAST, ("head",),
        (("Flatten()", "GlobalAveragePooling2D()"), ("BN and ReLU left out", "BN → ReLU → pooling"),
         ("a hidden Dense layer", "one Dense layer of num_classes")),
    ),
    "block-structure": Explanation(
        DETAILS, THREE_BLOCKS, (),
        (("a transition behind the last block", "one between each two blocks"),
         ("n = (L − 4) / 3 with bottlenecks", "n = (L − 4) / 6 with them, / 3 without"), FIXED),
    ),
    "foreign-ops": Explanation(
        DETAILS, THREE_BLOCKS, (),
        (("attention, noise, scaling, activations between the parts", "only what the paper has"),),
    ),
    "training-behaviour": Explanation(
        "section 4.2, Training",
        "For the three datasets without data augmentation, i.e., C10, C100 and SVHN, we add a "
        "dropout layer after each convolutional layer (except the first one) and set the dropout "
        "rate to 0.2.",
        (BLOCK,),
        (("training=True or training=False in a call", "nothing: Keras passes the mode on"),
         ("trainable = False", "every layer is trained")),
    ),
    "own-weights": Explanation(
        COMPOSITE, THREE_OPERATIONS, (BLOCK,),
        (SHARED, ("a layer whose output is not used", "leave it out"),
         ("a layer made inside call()", "made in __init__ or build, used in call()")),
    ),
    "build-model": Explanation(
        DETAILS, THREE_BLOCKS, (),
        (("`return` left out", "return build_densenet(…)"),
         ("preprocess that looks at the whole batch", "a function of each image by itself")),
    ),
}  # fmt: skip
"""Check → what stands behind it."""

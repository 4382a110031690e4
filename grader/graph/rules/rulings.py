"""The rulings: what the paper asks for, what a difference costs, and what a student is told.

One row for each difference that the rules can find. It says which check the difference fails, what
is looked at, what is expected there, where the paper says so, and what to try. A remark costs
nothing. What has no row here is accepted without a word: the reader makes every spelling of it
the same, so no rule ever sees it.

A word in braces is filled in by the rule that finds the difference. The rules stand in the other
files of this folder; a test sees that each row is used by one, and that no rule has words of its
own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

COMPOSITE = "Huang et al. 2017, sec. 3, Composite function"
CONNECTIVITY = "Huang et al. 2017, eq. 2"
GROWTH = "Huang et al. 2017, sec. 3, Growth rate"
BOTTLENECK = "Huang et al. 2017, sec. 3, Bottleneck layers"
POOLING = "Huang et al. 2017, sec. 3, Pooling layers"
COMPRESSION = "Huang et al. 2017, sec. 3, Compression"
DETAILS = "Huang et al. 2017, sec. 3, Implementation Details"
TRAINING = "Huang et al. 2017, sec. 4.2, Training"


@dataclass(frozen=True)
class Ruling:
    """One difference that can be found.

    Attributes:
        check: The check that it fails.
        what: What is looked at; stands before "expected".
        expected: What the paper has there.
        source: Where the paper says so.
        help: What to try.
        costs: Whether it costs points; if not, it is a remark.
        wrecks: Whether the rest of the network cannot be read as what it is where this stands.
    """

    check: str
    what: str
    expected: str
    source: str = DETAILS
    help: str = ""
    costs: bool = True
    wrecks: bool = False

    def in_check(self, check: str, source: str) -> Ruling:
        """The same ruling about another part of the network."""
        return replace(self, check=check, source=source)


def _remark(check: str, what: str, expected: str, source: str, help: str) -> Ruling:
    return Ruling(check, what, expected, source, help, costs=False)


SAME_FUNCTION = "No harm: the two are the same function."
TOGETHER_ONE = "No harm: together they are one."
NO_HARM_NUMBERS = "No harm: the numbers differ by next to nothing."
OWN_LAYER = "Create a new layer object for every place where the paper has a layer."
STOPPED = "Take the stop_gradient away: what stands behind it is not trained."
CONCATENATE = "Concatenate the block's input and all earlier layers' maps (eq. 2)."
CONCATENATED_TWICE = "It stands in what is concatenated already: join each layer's maps on once."
PLAIN_HEAD = "Leave it out: the head is BN, ReLU, global average pooling and one Dense layer."
PLAIN_TRANSITION = "A transition is BN, 1×1 convolution, 2×2 average pooling."
WITHOUT_AXIS = "Write BatchNormalization() without an axis: the channels stand last."
OWN_NORM = "Use BatchNormalization: it normalises by the mean and the variance of the whole batch."
PLAIN_RELU = "The paper uses the plain ReLU, max(0, x)."

BN = "its batch normalisation"
KERNEL = "the kernel of its {size}"

# --- composite function: each layer is BN, then ReLU, then a convolution ---------------------

ORDER = Ruling(
    "composite-function", "before its {then}", "BN → ReLU → {then}", COMPOSITE,
    "The composite function is BN, then ReLU, then the convolution, in this order.",
)  # fmt: skip
NORMALISED_BEHIND = Ruling(
    "composite-function", "the order of its operations", "BN → ReLU → {then}", COMPOSITE,
    "Batch normalisation and ReLU come before each convolution, not behind it.",
)  # fmt: skip
BEHIND_A_LAYER = Ruling(
    "composite-function", "behind its {size}", "nothing but the concatenation", COMPOSITE,
    "In the paper BN and ReLU stand before each convolution; what a layer gives is concatenated "
    "as it is.",
)  # fmt: skip
CONVOLUTION_TOO_MANY = Ruling(
    "composite-function", "its convolutions", "one 3×3 convolution", COMPOSITE,
    "One convolution too many.",
)  # fmt: skip
KERNEL_SIZE = Ruling(
    "composite-function", "its convolution", "{kernel}", GROWTH, "Use a kernel of {rows}×{columns}."
)
SETTING = Ruling(
    "composite-function", "the {setting} of its {kernel}", "{value}", GROWTH,
    "The paper's convolutions have stride 1, no dilation, no groups, and zero padding that keeps "
    "the size of the map.",
)  # fmt: skip
FULLY_CONNECTED = _remark(
    "composite-function", "its {kernel}", "a convolution", GROWTH, SAME_FUNCTION
)
OTHER_SPELLING = _remark(
    "composite-function", "its {size}", "a convolution", DETAILS, SAME_FUNCTION
)
NO_OFFSET = Ruling(
    "composite-function", BN, "a trained offset (beta)", COMPOSITE, "Leave `center=True`."
)
NO_SCALE = _remark(
    "composite-function", BN, "a trained scale (gamma)", COMPOSITE,
    "No harm: the next convolution can take its place.",
)  # fmt: skip
EPSILON_OUTSIDE = _remark(
    "composite-function", BN, "(x - mean) / √(variance + ε)", COMPOSITE, NO_HARM_NUMBERS
)
WRONG_AXIS = Ruling(
    "composite-function", BN, "the channels (axis -1)", COMPOSITE, WITHOUT_AXIS, wrecks=True
)

# --- growth rate and bottleneck --------------------------------------------------------------

GROWTH_RATE = Ruling(
    "growth", "the maps its {kernel} gives", "{maps}", GROWTH,
    "Every dense layer gives growth_rate maps.",
)  # fmt: skip
BOTTLENECK_WIDTH = Ruling(
    "bottleneck", "the maps its {kernel} gives", "{maps}", BOTTLENECK,
    "A bottleneck gives 4 * growth_rate maps.",
)  # fmt: skip
BOTTLENECK_TOO_MANY = Ruling(
    "bottleneck", "its convolutions", "1×1 convolution → 3×3 convolution", BOTTLENECK,
    "One convolution too many.",
)  # fmt: skip
BOTTLENECK_UNASKED = Ruling(
    "bottleneck", "its convolutions", "one 3×3 convolution", BOTTLENECK,
    "With `bottleneck=False` a layer is BN-ReLU-conv3×3 only.",
)  # fmt: skip
BOTTLENECK_MISSING = Ruling(
    "bottleneck", "its convolutions", "a 1×1 convolution to 4k maps, then the 3×3 convolution",
    BOTTLENECK, "With `bottleneck=True` a layer is BN-ReLU-conv1×1(4k)-BN-ReLU-conv3×3(k).",
)  # fmt: skip

# --- dense connectivity: each layer receives [x0, x1, …, x(ℓ-1)], each once and as it is ------

LINK = Ruling(
    "dense-connectivity", "{receiver} receives {giver}", "once, whole", CONNECTIVITY, CONCATENATE
)
LINK_PERMUTED = _remark(
    "dense-connectivity", "{receiver} receives {giver}", "its maps in their order", CONNECTIVITY,
    "No harm: what receives them learns their order.",
)  # fmt: skip
STRANGER = Ruling(
    "dense-connectivity", "what {receiver} receives",
    "the block's input and the earlier layers' maps only", CONNECTIVITY,
    "Nothing else may be concatenated, and nothing may be added or recomputed on the way.",
)  # fmt: skip
ORDER_ON_ALL_LINKS = ORDER.in_check("dense-connectivity", CONNECTIVITY)
ORDER_ON_A_LINK = Ruling(
    "dense-connectivity", "the maps of {giver} before its {then}", "BN → ReLU", CONNECTIVITY,
    "Every layer receives the earlier maps as they were given, and applies its own BN and ReLU to "
    "all of them together.",
)  # fmt: skip
ADDED = Ruling(
    "dense-connectivity", "how its maps are joined to the earlier ones", "concatenated",
    CONNECTIVITY, "DenseNet adds no maps, it joins them side by side: layers.Concatenate().",
    wrecks=True,
)  # fmt: skip
CHANGED_ON_A_LINK = Ruling(
    "dense-connectivity", "the maps of {giver} before its {then}", "{usual}", CONNECTIVITY,
    "Concatenate the maps as they were given.",
)  # fmt: skip
CHANGED_INPUT = Ruling(
    "dense-connectivity", "the block's input, for all that receive it", "as it was given",
    CONNECTIVITY, "The block's input is concatenated as it is, like every layer's maps.",
)  # fmt: skip
CHANGED_IN_OUTPUT = Ruling(
    "dense-connectivity", "{giver} in its output", "as it was given", CONNECTIVITY,
    "The block's output is the plain concatenation.",
)  # fmt: skip
ODD_ON_A_LINK = Ruling(
    "dense-connectivity", "an operation", "only what the paper has", CONNECTIVITY,
    "DenseNet concatenates; it has convolutions, BN, ReLU, average pooling and softmax only.",
)  # fmt: skip

# --- transition: BN, (ReLU,) 1×1 convolution to ⌊θm⌋ maps, 2×2 average pooling -----------------

NO_TRANSITION = Ruling(
    "transition-layer", "its convolution", "one 1×1 convolution", POOLING, PLAIN_TRANSITION
)
SECOND_TRANSITION = Ruling(
    "transition-layer", "its convolutions", "one 1×1 convolution", POOLING, PLAIN_TRANSITION
)
TRANSITIONS_FOR_ONE = Ruling("transition-layer", "its convolutions", "1", POOLING)
FLOOR = Ruling(
    "transition-layer", "the maps it keeps of {arriving} at θ = {compression}", "⌊θm⌋ = {maps}",
    COMPRESSION, "Use int(compression * channels): the floor, of the number of maps that arrive.",
)  # fmt: skip
ORDER_OF_TRANSITION = Ruling(
    "transition-layer", "before its 1×1 convolution", "BN → ReLU (or BN alone)", POOLING,
    PLAIN_TRANSITION,
)  # fmt: skip
POOLED_BEFORE = _remark(
    "transition-layer", "its pooling", "behind the 1×1 convolution", POOLING,
    "No harm: the two give the same result.",
)  # fmt: skip
POOLED_OTHERWISE_BEFORE = Ruling(
    "transition-layer", "its pooling", "2×2 average pooling, stride 2", POOLING
)
POOLED_OTHERWISE = Ruling(
    "transition-layer", "its pooling", "2×2 average pooling, stride 2", POOLING,
    "Use AveragePooling2D(2).",
)  # fmt: skip
POOLED_TWICE = Ruling("transition-layer", "its pooling", "once", POOLING)
NOT_POOLED = Ruling(
    "transition-layer", "behind its 1×1 convolution", "2×2 average pooling, stride 2", POOLING,
    "Halve the map with AveragePooling2D(2).",
)  # fmt: skip
BEHIND_A_TRANSITION = Ruling(
    "transition-layer", "behind its 1×1 convolution", "2×2 average pooling only", POOLING,
    "BN and ReLU stand before the convolution, nothing but the pooling behind it.",
)  # fmt: skip

# --- stem: one 3×3 convolution, nothing behind it ----------------------------------------------

SECOND_STEM = Ruling(
    "stem", "the convolutions before the first block", "1", DETAILS,
    "One 3×3 convolution, then the first dense block.",
)  # fmt: skip
NO_STEM = Ruling("stem", "the first layer", "a 3×3 convolution")
STEM_WIDTH = Ruling(
    "stem", "the maps it gives", "{maps}", DETAILS,
    "2k maps in DenseNet-BC, 16 in the basic network.",
)  # fmt: skip
STEM_OF_16 = _remark(
    "stem", "the maps it gives", "2k = {maps} in DenseNet-BC", DETAILS,
    "No harm: 16 is the basic network's.",
)  # fmt: skip
STEM_IN_PARTS = _remark("stem", "the first layer", "one convolution", DETAILS, TOGETHER_ONE)
BEHIND_THE_STEM = Ruling(
    "stem", "behind its {size}", "nothing", DETAILS,
    "The first block receives the stem's maps as they are: BN and ReLU are those of its layers, "
    "and the first pooling is the first transition's.",
)  # fmt: skip
BEFORE_THE_STEM = Ruling(
    "stem", "before its convolution", "the image, scaled at most", DETAILS,
    "Only fixed scaling or normalisation may stand before the first convolution.",
)  # fmt: skip
OPERATION_BEFORE_THE_STEM = Ruling(
    "stem", BEFORE_THE_STEM.what, BEFORE_THE_STEM.expected, DETAILS,
    "Only fixed scaling or normalisation, and augmentation in training, may stand before the "
    "first convolution.",
)  # fmt: skip

# --- head: BN, ReLU, global average pooling, one Dense layer, softmax --------------------------

NO_CLASSIFIER = Ruling(
    "head", "the last layer", "a fully connected layer", DETAILS,
    "The network ends in global average pooling and one Dense layer with softmax.",
)  # fmt: skip
ORDER_OF_HEAD = Ruling(
    "head", "before its classifier", "BN → ReLU → global average pooling", DETAILS,
    "After the last block: BN, ReLU, global average pooling, then the Dense layer.",
)  # fmt: skip
POOLED_IN_PART = Ruling(
    "head", "its pooling", "global average pooling", DETAILS, "Use GlobalAveragePooling2D."
)
POOLED_BY_NOBODY = Ruling(
    "head", "its pooling", "global average pooling, before the classifier", DETAILS,
    "Use GlobalAveragePooling2D between the last ReLU and the Dense layer.",
)  # fmt: skip
CONVOLUTION_BEHIND_THE_BLOCKS = Ruling(
    "head", "between the last block and the classifier", "BN → ReLU → global average pooling",
    DETAILS, PLAIN_HEAD,
)  # fmt: skip
HIDDEN_LAYERS = Ruling(
    "head", "its fully connected layers", "1, the classifier", DETAILS,
    "One Dense layer stands behind the global average pooling, nothing between.",
)  # fmt: skip
CLASSIFIER_OF_PLACES = Ruling(
    "head", "its classifier", "one weight for each map and class", DETAILS,
    "Pool each map to one number (GlobalAveragePooling2D) before the Dense layer.",
)  # fmt: skip
CLASSES = Ruling("head", "its classes", "{classes}", DETAILS, "Use the argument num_classes.")
BEHIND_THE_CLASSIFIER = Ruling(
    "head", "behind its classifier", "softmax, or nothing (logits)", DETAILS,
    "End with one softmax over the classes.",
)  # fmt: skip
SECOND_CLASSIFIER = Ruling(
    "head", "what the network gives", "the answer of one classifier", DETAILS,
    "One Dense layer stands at the end, behind the last block.",
)  # fmt: skip
LOG_SOFTMAX = _remark(
    "head", "behind its classifier", "softmax, or nothing (logits)", DETAILS,
    "No harm to the accuracy. Keras' losses want probabilities, or logits with from_logits=True.",
)  # fmt: skip
NO_BIAS = _remark(
    "head", "its classifier", "a bias for each class", DETAILS,
    "No harm, but the paper's fully connected layer has one.",
)  # fmt: skip

# --- block structure: three blocks of n layers, two transitions, none behind the last ----------

BLOCKS = Ruling(
    "block-structure", "its dense blocks", "3", DETAILS,
    "Three dense blocks with a transition between each two; none behind the last.",
)  # fmt: skip
LAYERS = Ruling(
    "block-structure", "its dense layers", "{layers}", DETAILS,
    "A network of depth L has n layers per block: L = 3n + 4, or 6n + 4 with bottlenecks.",
)  # fmt: skip
LAYERS_OF_A_BLOCK = replace(LAYERS, help="dense_block makes num_layers layers.")
ONE_LAYER = replace(
    LAYERS,
    help="One layer, however many are asked for: does `return` stand inside the loop, or the "
    "concatenation behind it?",
)
LAYERS_ALIKE = replace(LAYERS, help="All blocks have the same number of layers.")
MAP_SIZE = Ruling(
    "block-structure", "the size of its maps", "{size}×{size}", POOLING,
    "Each transition halves the map, nothing else does.",
)  # fmt: skip
TRANSITION_BEHIND_THE_BLOCKS = Ruling(
    "block-structure", "between the last block and the classifier",
    "BN → ReLU → global average pooling", DETAILS,
    "Leave it out: a transition stands between two blocks, none behind the last.",
)  # fmt: skip

# --- foreign operations ------------------------------------------------------------------------

ODD = replace(ODD_ON_A_LINK, check="foreign-ops")
NO_ANSWER = Ruling("foreign-ops", "what it gives", "one tensor that depends on its input")
BESIDE = _remark("foreign-ops", "its {size}", "one", DETAILS, TOGETHER_ONE)
SUMMED = _remark(
    "foreign-ops", "its {size}", "one over all that it receives", DETAILS, TOGETHER_ONE
)

# --- own weights: each place has trained weights of its own, all of them used ------------------

KERNEL_SHARED = Ruling("own-weights", KERNEL, "weights of its own", DETAILS, OWN_LAYER)
KERNEL_UNTRAINED = Ruling("own-weights", KERNEL, "a trained variable", DETAILS, "{what_to_do}")
KERNEL_COMPUTED = Ruling(
    "own-weights", KERNEL, "a trained variable", DETAILS,
    "Let the layer create its kernel; do not rescale, normalise or fix it.",
)  # fmt: skip
KERNEL_STOPPED = Ruling("own-weights", KERNEL, "a trained variable", DETAILS, STOPPED)
KERNEL_OVERWRITTEN = Ruling(
    "own-weights", KERNEL + " in training", "changed by the optimizer only", DETAILS,
    "Use a plain Conv2D; the paper does not normalise weights.",
)  # fmt: skip
KERNEL_A_PART = _remark(
    "own-weights", KERNEL, "a variable", DETAILS, "No harm: each part is used once."
)
NORM_SHARED = Ruling(
    "own-weights", BN, "weights of its own", COMPOSITE,
    "Create a new BatchNormalization for every place.",
)  # fmt: skip

# --- training and inference differ in batch statistics and dropout, and in nothing else --------

NORM_IN_ANOTHER_MODE = Ruling(
    "training-behaviour", BN + " in {mode}", "{statistics}", COMPOSITE,
    "Do not hard-wire `training=` or freeze the layer: Keras passes the mode on.",
)  # fmt: skip
NORM_SKIPPED = Ruling(
    "training-behaviour", BN + " at inference", "the one of training, by its moving averages",
    COMPOSITE, "Call the batch normalisation in both modes, and pass `training` on to it.",
    wrecks=True,
)  # fmt: skip
NORM_UNTRAINED = Ruling(
    "training-behaviour", BN, "a trained scale and offset", COMPOSITE, "{what_to_do}"
)
NORM_STOPPED = Ruling("training-behaviour", BN, "a trained scale and offset", COMPOSITE, STOPPED)
STATISTICS_STOPPED = Ruling(
    "training-behaviour", "the statistics of its batch normalisation", "part of what is trained",
    COMPOSITE, STOPPED,
)  # fmt: skip
UNBIASED_VARIANCE = replace(EPSILON_OUTSIDE, check="training-behaviour")
AVERAGES_IDLE = Ruling(
    "training-behaviour", "the moving averages of its batch normalisation", "updated in training",
    COMPOSITE, "Pass `training` on to the layer, and do not freeze it.",
)  # fmt: skip
AVERAGES_ASTRAY = Ruling(
    "training-behaviour", "the moving averages of its batch normalisation", "{movement}",
    COMPOSITE, "Use BatchNormalization, or update as it does: "
    "average · momentum + batch · (1 - momentum), in training only.",
)  # fmt: skip
ALWAYS_RANDOM = Ruling(
    "training-behaviour", "its {random}", "on in training only", DETAILS,
    "Leave `training=True` out of the call: Keras passes the mode on.",
)  # fmt: skip
DROPOUT_ELSEWHERE = _remark(
    "training-behaviour", "its dropout in training",
    "of single numbers, behind each convolution but the first", TRAINING,
    "No harm: dropout vanishes at inference.",
)  # fmt: skip
ANOTHER_END = _remark(
    "training-behaviour", "behind its classifier", "the same in both modes", DETAILS,
    "No harm to the accuracy. The loss has to know: from_logits=True where it gets logits.",
)  # fmt: skip

# --- what a rule may say instead of a row's own help, by the kind of step that stands there ----

HELP_BY_STEPS = {
    ("ReLU", "BN"): "Swap them: batch normalisation comes first, then the ReLU.",
    ("ReLU",): "Put a BatchNormalization before the ReLU.",
    ("BN",): "Put a ReLU between the batch normalisation and the convolution.",
    ("ReLU", "BN", "ReLU"): "A ReLU too many: leave `activation=` out of the convolution before "
    "it.",
    (): "Apply BN and ReLU to the input before this convolution.",
}
SECOND_AFFINE = "The batch norm has a scale and an offset of its own: leave the second out."
HELP_BY_STEP = {
    "norm": WITHOUT_AXIS, "other": OWN_NORM, "activation": PLAIN_RELU, "stop": STOPPED,
}  # fmt: skip

"""DenseNets written as TensorFlow op graphs without TensorFlow, each in one of many styles.

A `Plan` says what is computed: which links, which operations, which widths. A `Style` says how it
is written. Tests vary the style of a right plan (nothing may be found) or edit one place of the
plan (something must be found).

Loaded by path from the conftest.py of the test folders that use it.
"""

import json
import math
from dataclasses import dataclass, field
from dataclasses import replace as changed

from grader.assignment import BlockProbe, NetworkProbe, TransitionProbe
from grader.checks import CHECKS, run_checks
from grader.domain import Outcome
from grader.graph.evidence import assemble
from grader.graph.numeric import compare
from grader.graph.probes import Probe
from grader.graph.read.reader import canonicalise
from grader.graph.record import check_graph, parse_network

BATCH = 2
EPSILON = 1e-3


@dataclass(frozen=True)
class Tensor:
    """One output of one node."""

    node: int
    output: int
    shape: tuple
    dtype: str = "float32"


class Writer:
    """A record under construction: nodes and variables, as the sandbox would send them."""

    def __init__(self):
        self.nodes = []
        self.variables = []
        self.inputs = []
        self.updates = []

    def op(self, name, inputs=(), shape=None, dtype="float32", outputs=None, **attributes):
        """Add a node; returns its first output, or all where `outputs` lists their shapes."""
        shapes = [shape] if outputs is None else outputs
        described = [[dtype, None if s is None else list(s)] for s in shapes]
        arguments = [[t.node, t.output] for t in inputs]
        self.nodes.append([name, f"{name.lower()}_{len(self.nodes)}", arguments, attributes])
        self.nodes[-1].append(described)
        made = [Tensor(len(self.nodes) - 1, i, s, dtype) for i, s in enumerate(shapes)]
        return made[0] if outputs is None else made

    def image(self, shape):
        tensor = self.op("Placeholder", shape=tuple(shape))
        self.inputs.append(tensor.node)
        return tensor

    def number(self, value, dtype="float32"):
        return self.constant([value], (), dtype)

    def integers(self, values):
        return self.constant(list(values), (len(values),), "int32")

    def constant(self, values, shape, dtype="float32"):
        record = {"dtype": dtype, "shape": list(shape), "values": list(values)}
        return self.op("Const", shape=tuple(shape), dtype=dtype, value=record)

    def variable(self, shape, trainable=True, owned=True):
        """A variable and a tensor that reads it."""
        self.variables.append(
            {
                "name": f"v{len(self.variables)}",
                "shape": list(shape),
                "dtype": "float32",
                "trainable": trainable,
                "owned": owned,
            }
        )
        handle = self.op("Variable", shape=(), dtype="resource", variable=len(self.variables) - 1)
        return self.op("ReadVariableOp", [handle], tuple(shape)), handle

    # --- arithmetic with broadcasting ---

    def binary(self, name, a, b):
        return self.op(name, [a, b], _broadcast(a.shape, b.shape))

    def unary(self, name, a, **attributes):
        return self.op(name, [a], a.shape, **attributes)

    def reshaped(self, a, shape):
        return self.op("Reshape", [a, self.integers(shape)], tuple(shape))

    def transposed(self, a, order):
        shape = tuple(a.shape[i] for i in order)
        return self.op("Transpose", [a, self.integers(order)], shape)

    def concatenated(self, parts, axis):
        shape = list(parts[0].shape)
        shape[axis] = sum(p.shape[axis] for p in parts)
        axis_tensor = self.number(axis, "int32")
        return self.op("ConcatV2", [*parts, axis_tensor], tuple(shape), N=len(parts))

    def graph(self, *outputs):
        return {
            "nodes": self.nodes,
            "inputs": self.inputs,
            "outputs": [[t.node, t.output] for t in outputs],
            "updates": self.updates,
        }

    def record(self, *outputs, input_shape=()):
        """The network's record, inference only."""
        return {
            "failure": None,
            "graphs": {"inference": self.graph(*outputs)},
            "variables": self.variables,
            "input_shape": list(input_shape),
        }

    def canonical(self, *outputs):
        return canonical(self.record(*outputs))


def canonical(record, mode="inference"):
    """The canonical graph of a record, through the validation that a real one passes."""
    parsed = parse_network(json.dumps(record).encode())
    return canonicalise(check_graph(parsed.graphs[mode], parsed.variables))


def agrees(expected, received):
    """Whether two outputs are the same numbers; false for NaN and for other shapes."""
    return compare(expected, received).holds is True


def _broadcast(a, b):
    if len(a) < len(b):
        a = (1,) * (len(b) - len(a)) + tuple(a)
    b = (1,) * (len(a) - len(b)) + tuple(b)
    return tuple(max(m, n) for m, n in zip(a, b, strict=True))


# --- styles --------------------------------------------------------------------------------

NORMS = ("fused", "keras", "formula", "power", "reshaped", "folded", "reciprocal")
RELUS = ("Relu", "maximum", "maximum turned", "select", "times its sign")
PADS = ("SAME", "padded before", "explicit")
JOINS = ("at once", "step by step", "new first", "reversed", "in halves")


@dataclass(frozen=True)
class Style:
    """How a plan is written down; none of it changes what is computed."""

    norm: str = "fused"
    relu: str = "Relu"
    pad: str = "SAME"
    join: str = "at once"
    channels_first: bool = False
    bias: bool = False
    identities: bool = False
    pointwise_as_matmul: bool = False
    relu_of_transition: bool = True
    twice_relu: bool = False
    pool: str = "AvgPool"
    sums: bool = False
    """Convolutions as the sum of two over parts of what they receive."""


class Net:
    """Writes the pieces of a network in one style."""

    def __init__(self, style, training=False):
        self.style = style
        self.training = training
        self.w = Writer()
        self.kernels = {}
        self.norms = {}

    @property
    def axis(self):
        return 1 if self.style.channels_first else 3

    def channels(self, x):
        return x.shape[self.axis]

    def entry(self, size, channels):
        x = self.w.image((BATCH, size, size, channels))
        return self.w.transposed(x, (0, 3, 1, 2)) if self.style.channels_first else x

    def exit(self, x):
        if self.style.channels_first and len(x.shape) == 4:
            return self.w.transposed(x, (0, 2, 3, 1))
        return x

    def _vector(self, v):
        """A vector so that it broadcasts over the channels."""
        if not self.style.channels_first:
            return v
        return self.w.reshaped(v, (1, v.shape[0], 1, 1))

    def norm(self, x, name=None, kind="BN"):
        """Batch normalisation in inference; `name` shares its variables with another."""
        w, n = self.w, self.channels(x)
        if name not in self.norms or name is None:
            trained = [w.variable((n,))[0] for _ in range(2)]
            moving = [w.variable((n,), trainable=False) for _ in range(2)]
            self.norms[name] = (*trained, *[m for m, _ in moving], [h for _, h in moving])
        gamma, beta, mean, variance, handles = self.norms[name]
        if self.training:
            return self._norm_in_training(x, gamma, beta, handles)
        style = self.style.norm
        if style == "fused":
            layout = "NCHW" if self.style.channels_first else "NHWC"
            return w.op(
                "FusedBatchNormV3",
                [x, gamma, beta, mean, variance],
                outputs=[x.shape, (n,), (n,), (n,), (n,), ()],
                epsilon=EPSILON,
                is_training=False,
                data_format=layout,
            )[0]
        if style == "reshaped":
            shape = (1, n, 1, 1) if self.style.channels_first else (1, 1, 1, n)
            gamma, beta, mean, variance = (
                w.reshaped(v, shape) for v in (gamma, beta, mean, variance)
            )
        else:
            gamma, beta, mean, variance = map(self._vector, (gamma, beta, mean, variance))
        spread = w.binary("AddV2", variance, w.number(EPSILON))
        if style == "power":
            scale = w.binary("Mul", w.binary("Pow", spread, w.number(-0.5)), gamma)
        elif style == "reciprocal":
            scale = w.binary("Mul", gamma, w.unary("Reciprocal", w.unary("Sqrt", spread)))
        else:
            scale = w.binary("Mul", w.unary("Rsqrt", spread), gamma)
        if style == "formula":
            centred = w.binary("Sub", x, mean)
            y = w.binary("RealDiv", centred, w.unary("Sqrt", spread))
            return w.binary("AddV2", w.binary("Mul", gamma, y), beta)
        if style == "folded":
            shift = w.binary("Sub", w.binary("Mul", mean, scale), beta)
            return w.binary("Sub", w.binary("Mul", scale, x), shift)
        shift = w.binary("Sub", beta, w.binary("Mul", mean, scale))
        return w.binary("AddV2", w.binary("Mul", x, scale), shift)

    def _norm_in_training(self, x, gamma, beta, handles):
        w, n = self.w, self.channels(x)
        none = w.constant([], (0,))
        y, mean, variance, *_ = w.op(
            "FusedBatchNormV3",
            [x, gamma, beta, none, none],
            outputs=[x.shape, (n,), (n,), (n,), (n,), ()],
            epsilon=EPSILON,
            is_training=True,
            data_format=self._layout(),
        )
        for handle, new in zip(handles, (mean, variance), strict=True):
            w.op("AssignVariableOp", [handle, new], outputs=[])
            w.updates.append(len(w.nodes) - 1)
        return y

    def relu(self, x):
        w, style = self.w, self.style.relu
        if style == "maximum":
            return w.binary("Maximum", x, w.number(0.0))
        if style == "maximum turned":
            return w.binary("Maximum", w.number(0.0), x)
        if style == "select":
            where = w.op("Greater", [x, w.number(0.0)], x.shape, dtype="bool")
            return w.op("SelectV2", [where, x, w.number(0.0)], x.shape)
        if style == "times its sign":
            where = w.op("Greater", [x, w.number(0.0)], x.shape, dtype="bool")
            sign = w.op("Cast", [where], x.shape, SrcT="bool", DstT="float32")
            return w.binary("Mul", x, sign)
        y = w.unary("Relu", x)
        return w.unary("Relu", y) if self.style.twice_relu else y

    def activated(self, x, words, name=None):
        """The operations before a convolution, by their names."""
        for word in words:
            if word == "BN":
                x = self.norm(x, name)
            elif word == "ReLU":
                x = self.relu(x)
            else:
                x = self.odd(x, word)
        return x

    def odd(self, x, word):
        """An operation that has no place in a DenseNet."""
        w = self.w
        if word in ("Elu", "Sigmoid", "Tanh", "Softplus", "Selu", "Relu6", "Abs", "Square"):
            return w.unary(word, x)
        if word == "LeakyRelu":
            return w.unary("LeakyRelu", x, alpha=0.1)
        if word == "half":
            return w.binary("Mul", x, w.number(0.5))
        if word == "shifted":
            return w.binary("AddV2", x, w.number(0.25))
        if word == "max pool":
            sizes = [1, 1, 3, 3] if self.style.channels_first else [1, 3, 3, 1]
            return w.op("MaxPool", [x], x.shape, ksize=sizes, strides=[1] * 4, padding="SAME",
                        data_format=self._layout())  # fmt: skip
        if word == "turned":
            order = (0, 1, 3, 2) if self.style.channels_first else (0, 2, 1, 3)
            return w.transposed(x, order)
        if word == "softmax":
            return w.unary("Softmax", x)
        if word == "flipped":
            return w.op("ReverseV2", [x, w.integers([2])], x.shape)
        raise AssertionError(word)

    def _layout(self):
        return "NCHW" if self.style.channels_first else "NHWC"

    def _shape(self, like, height, width, channels):
        if self.style.channels_first:
            return (like.shape[0], channels, height, width)
        return (like.shape[0], height, width, channels)

    def size(self, x):
        return x.shape[2] if self.style.channels_first else x.shape[1]

    def conv(self, x, channels, kernel, stride=1, dilation=1, name=None, groups=1):
        received = self.channels(x)
        if self.style.sums and name is None and groups == 1 and received > 1:
            cut = max(1, received // 3)
            parts = [_cut(self, x, 0, cut), _cut(self, x, cut, received)]
            maps = [self._conv(part, channels, kernel, stride, dilation) for part in parts]
            return self.w.binary("AddV2", *maps)
        return self._conv(x, channels, kernel, stride, dilation, name, groups)

    def _conv(self, x, channels, kernel, stride=1, dilation=1, name=None, groups=1):
        w, size = self.w, self.size(x)
        shape = (kernel, kernel, self.channels(x) // groups, channels)
        if name is None or name not in self.kernels:
            self.kernels[name] = w.variable(shape)[0]
        k = self.kernels[name]
        out = -(-size // stride)
        if self.style.pointwise_as_matmul and kernel == 1 and stride == 1 and groups == 1:
            if not self.style.channels_first:
                flat = w.reshaped(x, (BATCH * size * size, self.channels(x)))
                matrix = w.reshaped(k, shape[2:])
                y = w.op("MatMul", [flat, matrix], (flat.shape[0], channels))
                return self._biased(w.reshaped(y, (BATCH, size, size, channels)), channels)
        padding, pads = "SAME", None
        if kernel > 1 and stride == 1 and self.style.pad != "SAME":
            border = dilation * (kernel // 2)
            if self.style.pad == "padded before":
                x, padding = self._padded(x, border), "VALID"
            else:
                padding, pads = "EXPLICIT", [[0, 0], [border] * 2, [border] * 2, [0, 0]]
        attributes = {
            "strides": self._four(stride),
            "dilations": self._four(dilation),
            "padding": padding,
            "data_format": self._layout(),
        }
        if pads is not None:
            order = (0, 3, 1, 2) if self.style.channels_first else (0, 1, 2, 3)
            attributes["explicit_paddings"] = [n for i in order for n in pads[i]]
        y = w.op("Conv2D", [x, k], self._shape(x, out, out, channels), **attributes)
        return self._biased(y, channels)

    def _biased(self, y, channels):
        if not self.style.bias:
            return y
        bias = self.w.variable((channels,))[0]
        return self.w.op("BiasAdd", [y, bias], y.shape, data_format=self._layout())

    def _four(self, n):
        return [1, 1, n, n] if self.style.channels_first else [1, n, n, 1]

    def _padded(self, x, border):
        size = self.size(x) + 2 * border
        amounts = [[0, 0], [0, 0], [border] * 2, [border] * 2]
        if not self.style.channels_first:
            amounts = [amounts[0], amounts[2], amounts[3], amounts[1]]
        pads = self.w.constant([n for row in amounts for n in row], (4, 2), "int32")
        return self.w.op("Pad", [x, pads], self._shape(x, size, size, self.channels(x)))

    def join(self, parts):
        """Concatenate; the order among the parts is free."""
        w, how = self.w, self.style.join
        if self.style.identities:
            parts = [w.unary("Identity", p) for p in parts]
        if len(parts) == 1:
            return parts[0]
        if how == "reversed":
            return w.concatenated(parts[::-1], self.axis)
        if how in ("step by step", "new first"):
            x = parts[0]
            for part in parts[1:]:
                pair = [x, part] if how == "step by step" else [part, x]
                x = w.concatenated(pair, self.axis)
            return x
        if how == "in halves" and len(parts) > 2:
            half = len(parts) // 2
            pieces = [w.concatenated(p, self.axis) if len(p) > 1 else p[0]
                      for p in (parts[:half], parts[half:])]  # fmt: skip
            return w.concatenated(pieces, self.axis)
        return w.concatenated(parts, self.axis)

    def pool(self, x, window=2, kind="AvgPool", stride=None):
        w, stride = self.w, stride or window
        out = (self.size(x) - window) // stride + 1
        if self.style.pool == "mean" and kind == "AvgPool" and window == stride:
            if not self.style.channels_first and self.size(x) % window == 0:
                n, c = self.size(x) // window, self.channels(x)
                cut = w.reshaped(x, (BATCH, n, window, n, window, c))
                return w.op("Mean", [cut, w.integers([2, 4])], (BATCH, n, n, c), keep_dims=False)
        shape = self._shape(x, out, out, self.channels(x))
        return w.op(
            kind, [x], shape, ksize=self._four(window), strides=self._four(stride),
            padding="VALID", data_format=self._layout(),
        )  # fmt: skip


# --- plans ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Link:
    """One thing a layer receives: 0 is the block's input, ℓ the maps of layer ℓ.

    Attributes:
        source: Which.
        through: Operations on the way; none in a DenseNet.
        window: Only these channels, or None for all.
    """

    source: int
    through: tuple = ()
    window: tuple | None = None


@dataclass(frozen=True)
class Layer:
    """One dense layer as it is computed."""

    links: tuple
    width: int
    squeeze: int | None = None
    before: tuple = ("BN", "ReLU")
    between: tuple = ("BN", "ReLU")
    behind: tuple = ()
    kernel: int = 3
    squeeze_kernel: int = 1
    dilation: int = 1
    kernel_name: str | None = None
    norm_name: str | None = None


@dataclass(frozen=True)
class Block:
    """A dense block as it is computed: its layers and what leaves it."""

    layers: tuple
    output: tuple


def dense(num_layers, growth_rate, bottleneck):
    """The paper's dense block."""
    squeeze = 4 * growth_rate if bottleneck else None
    layers = tuple(
        Layer(tuple(Link(s) for s in range(number)), growth_rate, squeeze)
        for number in range(1, num_layers + 1)
    )
    return Block(layers, tuple(Link(s) for s in range(num_layers + 1)))


def write_block(net, x, block):
    """Write a block behind x; returns its output."""
    maps = [x]
    for layer in block.layers:
        seen = net.join([_linked(net, maps, link) for link in layer.links])
        y = net.activated(seen, layer.before, layer.norm_name)
        if layer.squeeze is not None:
            y = net.conv(y, layer.squeeze, layer.squeeze_kernel)
            y = net.activated(y, layer.between)
        y = net.conv(y, layer.width, layer.kernel, dilation=layer.dilation, name=layer.kernel_name)
        maps.append(net.activated(y, layer.behind))
    return net.join([_linked(net, maps, link) for link in block.output])


def _linked(net, maps, link):
    x = maps[link.source]
    if link.window is not None:
        x = _cut(net, x, *link.window)
    return net.activated(x, link.through)


def _cut(net, x, start, stop):
    begin, size = [0] * 4, list(x.shape)
    begin[net.axis], size[net.axis] = start, stop - start
    w = net.w
    return w.op("Slice", [x, w.integers(begin), w.integers(size)], tuple(size))


@dataclass(frozen=True)
class Transition:
    """A transition as it is computed."""

    width: int
    before: tuple = ("BN", "ReLU")
    kernel: int = 1
    behind: tuple = ()
    window: int = 2
    stride: int = 2
    pool: str = "AvgPool"
    conv_stride: int = 1


def write_transition(net, x, plan):
    """Write a transition behind x; returns its output."""
    before = plan.before
    if not net.style.relu_of_transition and before == ("BN", "ReLU"):
        before = ("BN",)
    y = net.activated(x, before)
    y = net.conv(y, plan.width, plan.kernel, stride=plan.conv_stride)
    y = net.activated(y, plan.behind)
    return net.pool(y, plan.window, plan.pool, plan.stride) if plan.pool else y


@dataclass(frozen=True)
class Head:
    """A head as it is computed."""

    before: tuple = ("BN", "ReLU")
    window: int | None = None
    softmax: int = 1
    classes: int | None = None
    hidden: tuple = ()


@dataclass(frozen=True)
class Network:
    """A whole network as it is computed."""

    stem: int
    blocks: tuple
    transitions: tuple
    classes: int
    head: Head = field(default_factory=Head)
    stem_kernel: int = 3
    behind_stem: tuple = ()


def dense_net(num_layers, growth_rate, compression, bottleneck, classes):
    """The paper's network."""
    stem = 2 * growth_rate if bottleneck and compression < 1 else 16
    channels, transitions = stem, []
    for _ in range(2):
        channels = math.floor(round((channels + num_layers * growth_rate) * compression, 9))
        transitions.append(Transition(channels))
    blocks = tuple(dense(num_layers, growth_rate, bottleneck) for _ in range(3))
    return Network(stem, blocks, tuple(transitions), classes)


def write_network(net, size, plan):
    """Write a network from the image on; returns its output."""
    w = net.w
    x = net.conv(net.entry(size, 3), plan.stem, plan.stem_kernel)
    x = net.activated(x, plan.behind_stem)
    for i, block in enumerate(plan.blocks):
        x = write_block(net, x, block)
        if i < len(plan.transitions):
            x = write_transition(net, x, plan.transitions[i])
    x = net.activated(x, plan.head.before)
    channels = net.channels(x)
    if plan.head.window is None:
        axes = [2, 3] if net.style.channels_first else [1, 2]
        x = w.op("Mean", [x, w.integers(axes)], (BATCH, channels), keep_dims=False)
    else:
        x = net.pool(x, plan.head.window)
        x = w.reshaped(x, (BATCH, channels))
    for width in (*plan.head.hidden, plan.classes):
        x = w.op("MatMul", [x, w.variable((channels, width))[0]], (BATCH, width))
        x = w.op("BiasAdd", [x, w.variable((width,))[0]], x.shape)
        x = x if width == plan.classes else w.unary("Relu", x)
        channels = width
    for _ in range(plan.head.softmax):
        x = w.unary("Softmax", x)
    return x


# --- judging -------------------------------------------------------------------------------


def _recorded(write, style, modes, shape):
    """The record of what `write` gives in each mode; all modes number the variables alike."""
    graphs = {}
    for mode in modes:
        net = Net(style, training=mode == "training")
        graphs[mode] = net.w.graph(write(net))
    return {
        "failure": None,
        "graphs": graphs,
        "variables": net.w.variables,
        "input_shape": list(shape),
    }


def block_record(style, block, size, channels, modes=("inference",)):
    def write(net):
        return net.exit(write_block(net, net.entry(size, channels), block))

    return _recorded(write, style, modes, (BATCH, size, size, channels))


def transition_record(style, plan, size, channels, modes=("inference",)):
    def write(net):
        return net.exit(write_transition(net, net.entry(size, channels), plan))

    return _recorded(write, style, modes, (BATCH, size, size, channels))


def network_record(style, plan, size, modes=("inference",)):
    def write(net):
        return write_network(net, size, plan)

    return _recorded(write, style, modes, (BATCH, size, size, 3))


def answer(request):
    """What the paper's network, in plain style, answers to one probe's request."""
    keywords, modes = request["keywords"], request["modes"]
    if request["function"] == "dense_block":
        size, _, channels = request["input_shape"]
        plan = dense(keywords["num_layers"], keywords["growth_rate"], keywords["bottleneck"])
        return block_record(Style(), plan, size, channels, modes)
    if request["function"] == "transition":
        size, _, channels = request["input_shape"]
        width = math.floor(round(channels * keywords["compression"], 9))
        return transition_record(Style(), Transition(width), size, channels, modes)
    layers = (keywords["depth"] - 4) // (6 if keywords["bottleneck"] else 3)
    plan = dense_net(
        layers, keywords["growth_rate"], keywords["compression"], keywords["bottleneck"],
        keywords["num_classes"],
    )  # fmt: skip
    return network_record(Style(), plan, keywords["input_shape"][0], modes)


def model_answer():
    """What `build_model()` gives: DenseNet-BC, L = 10, k = 4."""
    plan = dense_net(1, 4, 0.5, True, 10)
    return network_record(Style(), plan, 32, ("inference", "training"))


def block_probe(num_layers, growth_rate, bottleneck, size, channels, hidden=False):
    asked = BlockProbe(
        channels=channels,
        num_layers=num_layers,
        growth_rate=growth_rate,
        bottleneck=bottleneck,
        size=size,
    )
    return Probe(id="block-0", function="dense_block", hidden=hidden, block=asked)


def transition_probe(compression, size, channels, hidden=False):
    asked = TransitionProbe(channels=channels, compression=compression, size=size)
    return Probe(id="transition-0", function="transition", hidden=hidden, transition=asked)


def network_probe(depth, growth_rate, compression, bottleneck, classes, size, hidden=False):
    asked = NetworkProbe(
        depth=depth,
        growth_rate=growth_rate,
        compression=compression,
        bottleneck=bottleneck,
        num_classes=classes,
        size=size,
    )
    return Probe(id="network-0", function="build_densenet", hidden=hidden, network=asked)


def evidence_of(*answers, module=True):
    """Evidence of (probe, record) pairs, as `assemble` makes it from frames."""
    signature = {
        key: []
        for key in ("dense_block", "transition", "build_densenet", "build_model", "preprocess")
    }
    frames = {"module": json.dumps({"failure": None, "functions": signature}).encode()}
    for probe, record in answers:
        data = record if isinstance(record, bytes) else json.dumps(record).encode()
        frames["probe:" + probe.id] = data
    return assemble(frames if module else {}, {}, [probe for probe, _ in answers])


SHAPES = {
    "dense_block": "block-shape",
    "transition": "transition-shape",
    "build_densenet": "network-shape",
}


def complaints(probe, record):
    """(check, finding) pairs of all that fails, leaving out the functions nobody asked."""
    evidence = evidence_of((probe, record))
    absent = {name for function, name in SHAPES.items() if function != probe.function}
    results = [r for r in run_checks(CHECKS, evidence) if r.name not in absent]
    broken = [r for r in results if r.outcome is Outcome.ERROR]
    assert not broken, broken
    return [
        (r.name, f)
        for r in results
        if r.outcome is Outcome.FAILED
        for f in r.findings
        if f.severity == "deviation"
    ]


__all__ = [name for name in dir() if not name.startswith("_")] + ["changed"]

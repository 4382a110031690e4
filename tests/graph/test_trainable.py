"""The graph that is trained has the dropout of training between the steps of inference."""

from grader.graph.canonical import Graph, Segment, Step, Value
from grader.graph.pointwise import X
from grader.graph.program import lower
from grader.graph.read.axes import standard_axes
from grader.graph.trainable import with_random_steps
from tests.graph.writing import Net, Style

RELU = Step("pointwise", ("relu", ("Relu", X), ()))
POOL = Step("pool", ("mean", (2, 2), (2, 2), (0, 0, 0, 0)))
DROPOUT = Step("dropout", (0.2, "elementwise"))


def network(*steps, nodes=1):
    """A graph whose output is its input behind some steps, and sums of the input with itself."""
    graph = Graph()
    graph.add("input", (), channels=3, height=4, width=4)
    for _ in range(nodes):
        last = whole(graph.nodes[-1])
        graph.add("add", (last, last), channels=3, height=4, width=4)
    graph.output = whole(graph.nodes[-1], steps)
    return graph


def whole(node, steps=()):
    segments = (Segment(node.index, 0, 3, tuple(steps)),)
    return Value(standard_axes(2, 4, 4, 3), 2, 4, 4, segments)


def steps_of(graph):
    return list(graph.output.segments[0].steps)


def test_dropout_stands_where_training_has_it():
    trained, notes = with_random_steps(network(RELU, POOL), network(RELU, DROPOUT, POOL))

    assert steps_of(trained) == [RELU, DROPOUT, POOL]
    assert notes == []


def test_dropout_at_inference_is_left_out():
    trained, _ = with_random_steps(network(RELU, DROPOUT), None)

    assert steps_of(trained) == [RELU]


def test_other_steps_in_training_are_not_taken_over():
    trained, _ = with_random_steps(network(RELU, POOL), network(POOL, DROPOUT, RELU))

    assert steps_of(trained) == [RELU, POOL]


def test_another_network_in_training_is_left_out_with_a_note():
    trained, notes = with_random_steps(network(RELU), network(RELU, DROPOUT, nodes=2))

    assert steps_of(trained) == [RELU]
    assert "only in training" in notes[0]


def test_a_bias_and_the_batch_norm_behind_it_are_steps_of_their_own():
    net = Net(Style(bias=True))
    graph = net.w.canonical(net.norm(net.conv(net.entry(6, 5), 4, 3)))

    trained, _ = with_random_steps(graph, None)

    def kinds(one):
        return [i.kind for i in lower(one).instructions]

    assert kinds(graph) == ["input", "conv", "affine"]
    assert kinds(trained) == ["input", "conv", "affine", "affine"]

"""Programs that claim a verdict instead of earning one.

All of them run beside the code that describes them, in one process, and may do to it what they
like. What they reach is to send other frames, or none.
"""

from __future__ import annotations

import json

from grader.errors import Cause
from grader.graph.probes import hidden_probes, public_probes
from tests.graph.writing import answer, model_answer
from tests.hostile.cases import Case, Graded, Recipe
from tests.hostile.programs import (
    EVERYTHING,
    FUNCTIONS,
    MODEL,
    NOTHING,
    RIGHT,
    first,
    handed_in,
    last,
    small_assignment,
)

ANOTHER = "the answer to another question"
BAD = Cause.STUDENT_BAD_OUTPUT
EXITED = Cause.STUDENT_EXITED
COUNTS = frozenset(
    {
        "parameter-count-block",
        "parameter-count-transition",
        "parameter-count-network",
        "build-model-parameters",
    }
)
HIDDEN_WRONG = frozenset({"bottleneck", "parameter-count-block", "parameter-count-network"})
STUB = "NotImplementedError"

STAGE = """
import sys
frame = sys._getframe()
while "channel" not in frame.f_locals:
    frame = frame.f_back
channel, request = frame.f_locals["channel"], frame.f_locals["request"]
inside = lambda name: sys.modules["_inside." + name]
"""
"""Finds what describes the program: its channel, its request, its modules."""

PARTLY = """
PUBLIC = [
    {"num_layers": 2, "growth_rate": 4, "bottleneck": True},
    {"compression": 0.5},
    {"depth": 7, "growth_rate": 4, "compression": 1.0, "bottleneck": False},
]

def only_public(function, instead):
    def call(*arguments, **keywords):
        known = any(all(keywords.get(k) == v for k, v in p.items()) for p in PUBLIC)
        return function(*arguments, **keywords) if known else instead(*arguments, **keywords)
    return call

def nothing(*arguments, **keywords):
    raise RuntimeError("not in the table")
"""
"""Tells the configurations that the template shows from all others."""


def records(seed: bytes) -> dict[str, object]:
    """The frames of a right submission whose hidden probes were drawn from this seed."""
    probes = small_assignment().probes
    asked = [*public_probes(probes), *hidden_probes(probes, seed)]
    functions = ("dense_block", "transition", "build_densenet", "build_model", "preprocess")
    frames = {"module": {"failure": None, "functions": {name: [] for name in functions}}}
    frames |= {"probe:" + probe.id: answer(probe.request()) for probe in asked}
    return frames | {"model": model_answer()}


def replayed() -> Recipe:
    """Sends what a right submission of another student sent, and ends."""
    captured = json.dumps(records(b"of another student's submission."))
    return first(
        STAGE,
        f"""
import json, os
for name, answer in json.loads({captured!r}).items():
    channel.send_json(name, answer)
channel.send_json("end", {{}})
os._exit(0)
""",
    )


def case(name: str, make: Recipe, expect: Graded, why: str) -> Case:
    return Case(name, "forgery", make, expect, why)


FORGERY: tuple[Case, ...] = (
    # --- claims ---
    case("a verdict on standard output", first("""
        import json, sys
        print(json.dumps({"status": "graded", "score": 100, "max_score": 100}), flush=True)
        print("All checks passed: 100/100", file=sys.stderr, flush=True)
        """), Graded(FUNCTIONS, says=STUB),
         "a grader that reads what a program prints believes the program"),
    case("a verdict on every descriptor", first("""
        import os
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, b'{"status": "graded", "score": 100}\\n')
            except OSError:
                pass
        """), Graded(EVERYTHING, BAD, says="expected a frame"),
         "the channel is one of them: what is no frame ends the answer"),
    case("a verdict in an exception", first("""
        class Passed(Exception):
            def __str__(self):
                return "score: 100/100, all checks passed"
        raise Passed
        """), Graded(EVERYTHING, says="densenet.py cannot be imported"),
         "what a program says of itself is shown to the student, and is no verdict"),
    case("an exception that cannot be told", first("""
        class Silent(BaseException):
            def __str__(self):
                raise SystemExit(0)
        raise Silent
        """), Graded(EVERYTHING, Cause.STUDENT_EXCEPTION),
         "telling of an error runs the student's code once more"),
    case("a function that is every function", first("""
        class Anything:
            def __getattr__(self, name): return self
            def __call__(self, *arguments, **keywords): return self
            def __eq__(self, other): return True
            def __bool__(self): return True
            def __hash__(self): return 0
        def __getattr__(name): return Anything()
        """, then=""), Graded(FUNCTIONS),
         "a check by `hasattr` or `==` takes it for right"),
    # --- ends ---
    case("exit status 0 on import", first("import os; os._exit(0)"),
         Graded(EVERYTHING, EXITED, says="exit status 0"),
         "a grader that asks the exit status takes an end for a success"),
    case("exit status 0 in dense_block", last("""
        import os
        def dense_block(*arguments, **keywords): os._exit(0)
        """), Graded(FUNCTIONS, EXITED, says="exit status 0"),
         "what was not answered was not earned"),
    case("exit status 0 in build_model", last("""
        import os
        def build_model(): os._exit(0)
        """, after=RIGHT), Graded(MODEL, EXITED),
         "the answers that came before the end count, the rest is missing"),
    case("SystemExit on import", first("import sys; sys.exit(0)"),
         Graded(EVERYTHING, says="SystemExit"),
         "`except Exception` does not catch it"),
    case("KeyboardInterrupt in every function", last("""
        def dense_block(*arguments, **keywords): raise KeyboardInterrupt
        transition = build_densenet = build_model = dense_block
        """), Graded(FUNCTIONS, says="KeyboardInterrupt"),
         "a grader that takes it for its own stops the class"),
    case("GeneratorExit in every function", last("""
        def dense_block(*arguments, **keywords): raise GeneratorExit
        transition = build_densenet = build_model = dense_block
        """), Graded(FUNCTIONS, says="GeneratorExit"),
         "the third exception outside `Exception`"),
    case("a verdict at exit", first("""
        import atexit, os
        def speak():
            for descriptor in range(3, 256):
                try: os.write(descriptor, b"score: 100")
                except OSError: pass
        atexit.register(speak)
        """), Graded(FUNCTIONS, says=STUB),
         "handlers run when nobody watches any more"),
    case("killed, as if by the machine", first("import os; os.kill(os.getpid(), 9)"),
         Graded(EVERYTHING, EXITED, says="SIGKILL"),
         "a machine's fault withholds the grade and spares a bad one"),
    case("a claim that the sandbox is missing", first(STAGE, """
        import os
        channel.send_json("crash", {"type": "Lack", "message": "Landlock"})
        os._exit(1)
        """), Graded(EVERYTHING, Cause.STUDENT_EXCEPTION),
         "the machine is at fault only before student code runs"),
    case("a claim that TensorFlow is missing", first(STAGE, """
        import os
        channel.send_json("crash", {"type": "ImportError", "message": "No module tensorflow"})
        os._exit(1)
        """), Graded(EVERYTHING, Cause.STUDENT_EXCEPTION), "likewise"),
    # --- frames ---
    case("a grade of its own on the channel", first(STAGE, """
        channel.send_json("grade", {"status": "graded", "score": 100, "max_score": 100})
        """), Graded(FUNCTIONS, says=STUB),
         "a frame that nobody asked for is read by nobody"),
    case("an end before the answers", first(STAGE, """
        import os
        channel.send_json("end", {})
        os._exit(0)
        """), Graded(EVERYTHING),
         "a whole answer without a word in it is not a pass"),
    case("answers after the end", first(STAGE, """
        channel.send_json("end", {})
        """), Graded(EVERYTHING, BAD, says="after the end frame"),
         "two answers in one stream: which one counts is not ours to choose"),
    case("half a frame", first("""
        import os
        import struct
        frame = struct.pack(">4scBQ", b"GRD1", b"J", 5, 1000) + b"model{"
        for descriptor in range(3, 256):
            try: os.write(descriptor, frame)
            except OSError: pass
        os._exit(0)
        """), Graded(EVERYTHING, EXITED),
         "a reader that waits for the rest waits for ever"),
    case("a frame of an exabyte", first("""
        import os
        import struct
        frame = struct.pack(">4scBQ", b"GRD1", b"B", 7, 2**60) + b"weights"
        for descriptor in range(3, 256):
            try: os.write(descriptor, frame)
            except OSError: pass
        """), Graded(EVERYTHING, Cause.STUDENT_OUTPUT_LIMIT),
         "a reader that believes lengths reserves the memory"),
    case("a frame sent twice", first(STAGE, """
        channel.send_json("model", {"failure": None})
        channel.send_json("model", {"failure": None})
        """), Graded(EVERYTHING, BAD, says="received twice"),
         "the first is checked, the second is used"),
    case("a better answer sent first", last(STAGE, """
        channel.send_json("probe:block-0", {"failure": None, "graphs": {}, "variables": []})
        """, after=RIGHT), Graded(FUNCTIONS, BAD, says="received twice"),
         "whoever speaks first is not believed for it"),
    case("a second start", first(STAGE, """
        channel.send_json("ready", {})
        """), Graded(EVERYTHING, BAD, says="received twice"),
         "a clock that starts anew never ends"),
    case("a name that is a path", first(STAGE, """
        channel._send(b"J", "../../results/grade.json", b"{}")
        channel._send(b"J", "a\\nb", b"{}")
        """), Graded(EVERYTHING, BAD, says="a plain name"),
         "frames become files: under names of ours"),
    case("two writers on one channel", last(STAGE, """
        import threading
        def chatter():
            for _ in range(1000):
                channel._write(b"{}")
        thread = threading.Thread(target=chatter)
        thread.start()
        thread.join()
        """), Graded(EVERYTHING, BAD),
         "a torn stream is no answer"),
    case("frames of another submission", replayed(), Graded(FUNCTIONS, BAD, says=ANOTHER),
         "a right answer to other questions is a wrong one: the hidden probes differ"),
    # --- the describing code changed ---
    case("failures that are not told", first(STAGE, """
        inside("tracing.failures").failure = lambda *arguments: None
        """), Graded(FUNCTIONS, says="graph is missing"),
         "what was asked for and did not come is no pass"),
    case("json that leaves failures out", first("""
        import json
        given = json.dumps
        def dumps(value, **keywords):
            if isinstance(value, dict) and value.get("failure"):
                value = {**value, "failure": None}
            return given(value, **keywords)
        json.dumps = dumps
        """), Graded(FUNCTIONS, says="graph is missing"),
         "the encoder of the answers is the student's too"),
    case("struct that lies about lengths", first(STAGE, """
        frames = inside("frames")
        class Header:
            size = frames.HEADER.size
            def pack(self, magic, kind, name, payload, given=frames.HEADER):
                return given.pack(magic, kind, name, max(0, payload - 1))
        frames.HEADER = Header()
        """), Graded(EVERYTHING, BAD), "every length is held against what comes"),
    case("isinstance that always agrees", first("""
        import builtins
        builtins.isinstance = lambda value, kind: True
        """), Graded(EVERYTHING, EXITED), "a check inside the process is the student's to answer"),
    case("numbers that are not numbers", last(STAGE, """
        Variables = inside("tracing.variables").Variables
        def table(self, given=Variables.table):
            return [{**row, "shape": [float("nan")]} for row in given(self)]
        Variables.table = table
        """, after=RIGHT), Graded(FUNCTIONS, says="not well formed"),
         "NaN passes every comparison that is written the wrong way round"),
    case("variables that are more than there are", last(STAGE, """
        Variables = inside("tracing.variables").Variables
        def table(self, given=Variables.table):
            rows = given(self)
            return rows + [{**rows[0], "name": "more"}]
        Variables.table = table
        """, after=RIGHT), Graded(COUNTS | {"own-weights", "build-model"}),
         "weights that the network does not use are found, and told apart"),
    case("all variables called trained", last(STAGE, """
        Variables = inside("tracing.variables").Variables
        def table(self, given=Variables.table):
            return [{**row, "trainable": True} for row in given(self)]
        Variables.table = table
        """, after=RIGHT), Graded(COUNTS | {"own-weights"}),
         "statistics that claim to be weights are not what the graph does with them"),
    case("no training mode", last(STAGE, """
        inside("tracing.networks").MODES["training"] = {"training": False}
        """, after=RIGHT), Graded(frozenset({"training-behaviour"}), says="never updated"),
         "a network that never updates its averages is said to"),
    case("one right graph for every question", last(STAGE, """
        kept = []
        records = inside("tracing.records")
        def pruned(*arguments, given=records.pruned):
            if not kept:
                kept.append(given(*arguments))
            return kept[0]
        records.pruned = pruned
        """, after=RIGHT), Graded(FUNCTIONS, BAD, says=ANOTHER),
         "the right answer to the first question is not one to the second"),
    case("one trace for every question", last("""
        from tensorflow.python.framework import func_graph
        given = func_graph.func_graph_from_py_func
        kept = []
        def traced(name, *arguments, **keywords):
            if name != "network":
                return given(name, *arguments, **keywords)
            if not kept:
                kept.append(given(name, *arguments, **keywords))
                kept.extend(kept[0].variables)  # which else end with what was traced
            return kept[0]
        func_graph.func_graph_from_py_func = traced
        """, after=RIGHT), Graded(FUNCTIONS, says="impossible shape"),
         "likewise, a step earlier: what is traced first is one layer, at sizes no network has"),
    case("questions of its own", last(STAGE, PARTLY, """
        public = {p["function"]: p for p in reversed(request["probes"])}
        request["probes"][:] = [{**public[p["function"]], "id": p["id"], "modes": p["modes"]}
                                for p in request["probes"]]
        build_densenet = only_public(build_densenet, nothing)
        """, after=RIGHT), Graded(FUNCTIONS, BAD, says=ANOTHER),
         "what was asked is known here, not there"),
    case("no question at all", last(STAGE, """
        request["probes"].clear()
        """, after=RIGHT), Graded(FUNCTIONS - MODEL, says="before it had answered"),
         "absence of an answer is not a pass"),
    # --- tables ---
    case("right for the public configurations, silent for others", last(PARTLY, """
        dense_block = only_public(dense_block, nothing)
        transition = only_public(transition, nothing)
        build_densenet = only_public(build_densenet, nothing)
        """, after=RIGHT), Graded(FUNCTIONS, says="not in the table"),
         "a table of three answers is no implementation, and silence no pass"),
    case("right for the public configurations, wrong for others", last(PARTLY, """
        given = dense_block
        def flat(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
            return given(x, num_layers, growth_rate, False, dropout_rate)
        dense_block = only_public(dense_block, flat)
        """, after=RIGHT), Graded(HIDDEN_WRONG, says="wrong on a hidden one"),
         "the template shows what is public; what counts is the rest"),
    case("functions that do nothing", handed_in("""
import keras
def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0): return x
def transition(x, compression=0.5, dropout_rate=0.0): return x
def build_densenet(input_shape=(32, 32, 3), **keywords):
    images = keras.Input(input_shape)
    return keras.Model(images, images)
def build_model(): return build_densenet()
def preprocess(images): return images
"""), Graded(FUNCTIONS), "where there is nothing, nothing is wrong; nor right"),
    case("a class that passes for a model", last("""
        import keras
        from keras import ops
        class Impostor:
            __class__ = property(lambda self: keras.Model)
            inputs = []
            variables = trainable_variables = []
            def __call__(self, x, **keywords):
                return ops.concatenate([x, ops.zeros_like(x)], axis=-1)
        def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
            return Impostor()
        def build_model(): return Impostor()
        """), Graded(FUNCTIONS), "what it computes is read, not what it says it is"),
    case("tests of its own that pass", last("""
        def test_dense_block(): assert True
        """), Graded(FUNCTIONS, says=STUB), "no test of the student's is ever run"),
    case("random numbers that are foreseen", last("""
        import keras, random
        if random.random() != random.Random(0).random():
            keras.utils.set_random_seed = lambda seed: None
        """, after=RIGHT), Graded(NOTHING), "no part of the verdict rests on the program's seed"),
)  # fmt: skip

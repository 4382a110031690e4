"""What is left out of the import of TensorFlow and Keras is there for whoever asks for it."""

import json
import subprocess
import sys

import pytest

from grader.inside.tracing import importing

ASKED = """
import gc, json, sys
from grader.inside.trace import warm
warm()
told = {"left out": [n for n in ("matplotlib", "jax") if n in sys.modules], "gc": gc.isenabled()}
import keras
from keras.src.visualization import plot_image_gallery
told["later"] = callable(plot_image_gallery.plt.figure)
import matplotlib.pyplot
told["as asked"] = plot_image_gallery.plt.figure is matplotlib.pyplot.figure
told["finders"] = [type(finder).__name__ for finder in sys.meta_path]
print(json.dumps(told))
"""


@pytest.mark.tensorflow
def test_what_no_trace_needs_is_imported_when_it_is_asked_for() -> None:
    ran = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    told = json.loads(ran.stdout.splitlines()[-1])

    assert told.pop("finders").count("_Refuses") == 0
    assert told == {"left out": [], "gc": True, "later": True, "as asked": True}


def test_what_is_refused_is_refused_for_the_block_alone() -> None:
    with importing._refusing("colorsys"):
        sys.modules.pop("colorsys", None)
        with pytest.raises(ModuleNotFoundError):
            import colorsys
    import colorsys  # noqa: F401

#!/bin/sh
# Collects what benchmarks/gpu.sh needs on a bare machine without a network: some 15 MB.
#
#     sh benchmarks/gpu_pack.sh PACK
#
# PACK/wheels     Keras, pydantic and what they need, as locks/gpu.txt has them, for Python 3.12 on
#                 x86-64; no JAX (and what it brings), CUDA, NumPy or OpenCV
# PACK/bc100, bc16   a network traced by the grader, with the same weights for Keras
#
# Run it where the grader is installed (TensorFlow traces) and pip reaches a package index.
set -eu
pack=${1:?name the folder to fill}
python=${PYTHON:-.venv/bin/python}
rm -rf "$pack/wheels"
mkdir -p "$pack/wheels" "$pack/bc100" "$pack/bc16"
for name in keras absl-py h5py markdown-it-py mdurl namex optree packaging pygments rich \
    typing-extensions annotated-types pydantic pydantic-core typing-inspection; do
    sed -n "/^$name==/,/[^\\\\]\$/p" locks/gpu.txt
done >"$pack/wheels.txt"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: --implementation cp --python-version 3.12 --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --dest "$pack/wheels" -r "$pack/wheels.txt"
export KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=2
"$python" benchmarks/gpu.py pack --depth 100 --folder "$pack/bc100"
"$python" benchmarks/gpu.py pack --depth 16 --folder "$pack/bc16"
du -sh "$pack"

#!/bin/sh
# Everything that wants a GPU, in one run; the tables come last.
#
#     sh benchmarks/gpu.sh /path/to/cifar-10 [output folder]
#
# Needs the gpu extra: pip install -e '.[gpu,server]', or the image of the Dockerfile.
# DRY=1 runs the same commands at a size for a CPU, to see that they run; its figures mean nothing.
# The full run has not been made: no GPU was lent while this was written.
set -eu
data=${1:?name the folder that holds cifar-10-batches-py}
out=${2:-benchmarks/results/gpu}
python=${PYTHON:-python}
mkdir -p "$out"
export TF_CPP_MIN_LOG_LEVEL=2 PYTHONUNBUFFERED=1
small=40 large=100 steps=300 batch=64 first="" seeds="--depth 40 --images 6400"
if [ "${DRY:-}" ]; then
    small=10 large=16 steps=2 batch=8 first="--first 64" seeds="--depth 10 --images 128 --epochs 1"
fi

# Run one benchmark; its table goes to NAME.txt, what it says beside that to NAME.log.
measure() {
    name=$1
    shift
    echo "$name: $*" >&2
    "$python" "$@" --json "$out/$name.json" >"$out/$name.txt" 2>"$out/$name.log" ||
        echo "failed, see $out/$name.log" >>"$out/$name.txt"
}

{ nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv || echo "no GPU"; } \
    >"$out/gpu.csv" 2>/dev/null
# 1. Speed beside plain fit: same network, batch and device.
for depth in $small $large; do
    measure "speed-bc$depth" benchmarks/train.py --depth "$depth" --batch "$batch" \
        --steps "$steps" --precision mixed_bfloat16
done
# 2. The reference network above 85%. 3. The paper's recipe, shortened.
# shellcheck disable=SC2086  # options, split on purpose
measure reference benchmarks/train.py --only-to --to 0.85 --recipe benchmarks/gpu-fast.toml \
    --data "$data" $first
# shellcheck disable=SC2086
measure paper-short benchmarks/train.py --only-to --to 0.93 \
    --recipe benchmarks/gpu-paper-short.toml --data "$data" $first
# 4. How far two runs agree, and what deterministic ops cost.
# shellcheck disable=SC2086
measure seeds-tensorflow benchmarks/seeds.py --data "$data" $seeds

cat "$out/gpu.csv"
for name in "speed-bc$small" "speed-bc$large" reference paper-short seeds-tensorflow; do
    echo "--- $name"
    cat "$out/$name.txt"
done

#!/bin/sh
# Everything that wants a GPU, in one run of 8 minutes at most; the tables come last.
#
#     sh benchmarks/gpu.sh DATA PACK [OUT]
#
# DATA  holds cifar-10-batches-py/, or cifar10_jpeg.npz.xz and the unpack.py that unpacks it
# PACK  was filled by benchmarks/gpu_pack.sh on a machine with a network
# OUT   takes the results; default: benchmarks/results/gpu
#
# The machine needs Python 3.12, JAX with CUDA, NumPy, OpenCV, and no network. PYTHON names another
# interpreter. DRY=1 runs all of it at a size for a processor; those figures mean nothing.
# Each measurement is a process with a limit of its own: what fails or hangs loses no other's figure.
set -eu
began=$(date +%s)
data=${1:?name the folder with CIFAR-10} pack=${2:?name the folder that gpu_pack.sh filled}
out=${3:-benchmarks/results/gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
rm -f "$out"/*.json "$out"/*.npy "$out"/*.log
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export KERAS_BACKEND=jax PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=2
export JAX_COMPILATION_CACHE_DIR="$scratch/compiled" XLA_PYTHON_CLIENT_PREALLOCATE=false
total=480 small=40 large=100 steps=900 batch=64 predict=500 packed=$pack/bc100 first="" dry=""
if [ "${DRY:-}" ]; then
    small=10 large=16 steps=3 batch=8 predict=16 packed=$pack/bc16 first="--first 32" dry="--dry"
    total=3600 # a busy processor compiles slowly
    export JAX_PLATFORMS=cpu
fi

left() { echo $((total - $(date +%s) + began)); }

# Run one step, for LIMIT seconds at most and not beyond the end.
measure() {
    limit=$(($1 * total / 480)) name=$2
    shift 2
    rest=$(left)
    [ "$limit" -le "$rest" ] || limit=$rest
    echo "$name, $rest s left: $*" >&2
    [ "$limit" -gt 0 ] || return 0
    timeout "$limit" "$python" benchmarks/gpu.py "$@" $dry --json "$out/$name.json" \
        >"$out/$name.log" 2>&1 || echo "$name: ended with $?, see $out/$name.log" >&2
}

"$python" -m pip install --quiet --no-index --no-deps --no-compile --disable-pip-version-check \
    --root-user-action ignore --target "$scratch/site" "$pack"/wheels/*.whl
export PYTHONPATH="$scratch/site"
if [ -d "$data/cifar-10-batches-py" ]; then
    images=$data
else
    images=$scratch/data
    timeout $((60 * total / 480)) "$python" "$data/unpack.py" "$images" >"$out/unpack.log" 2>&1 ||
        echo "CIFAR-10 was not unpacked, see $out/unpack.log" >&2
fi
{ nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || echo "no GPU"; } \
    >"$out/gpu.csv" 2>/dev/null

# shellcheck disable=SC2086  # options, split on purpose
{
measure 40 ceilings ceilings
measure 100 reach reach --data "$images" $first
measure 60 fit-ours-small fit ours --depth $small --batch $batch --steps $steps $first
measure 60 fit-plain-small fit plain --depth $small --batch $batch --steps $((steps / 3)) $first
measure 60 evaluate-ours evaluate ours --depth $large --folder "$packed" $first
measure 60 evaluate-keras evaluate keras --depth $large --folder "$packed" --batch $predict $first
measure 80 fit-ours-large fit ours --depth $large --batch $batch --steps $steps $first
measure 80 fit-plain-large fit plain --depth $large --batch $batch --steps $((steps / 3)) $first
rest=$(left)
[ "$rest" -lt 40 ] || measure "$rest" paper paper --data "$images" --depth $small $first \
    --speed "$out/fit-ours-small.json" --left-s $((rest - 20))
}

"$python" benchmarks/gpu.py table --folder "$out" $dry >"$out/tables.txt" || true
cat "$out/gpu.csv" "$out/tables.txt"
echo "$(($(date +%s) - began)) s in all"

#!/bin/sh
# Everything that wants a GPU, in one run; the tables come last.
#
#     sh benchmarks/gpu.sh /path/to/cifar-10 [output folder]
#
# Needs the gpu extra: pip install -e '.[gpu,server]', or the image of the Dockerfile.
# Not yet run: no GPU was lent while this was written.
set -eu
data=${1:?name the folder that holds cifar-10-batches-py}
out=${2:-benchmarks/results/gpu}
python=${PYTHON:-python}
mkdir -p "$out"
export TF_CPP_MIN_LOG_LEVEL=2 PYTHONUNBUFFERED=1

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv >"$out/gpu.csv" || true
# 1. Speed beside plain fit: same network, batch and device.
"$python" benchmarks/train.py --depth 40 --batch 64 --steps 300 --precision mixed_bfloat16 \
    --json "$out/speed-bc40.json" >"$out/speed-bc40.txt" 2>"$out/speed-bc40.log"
"$python" benchmarks/train.py --depth 100 --batch 64 --steps 200 --precision mixed_bfloat16 \
    --json "$out/speed-bc100.json" >"$out/speed-bc100.txt" 2>"$out/speed-bc100.log"
# 2. The reference network above 85%.
"$python" benchmarks/train.py --only-to --to 0.85 --recipe benchmarks/gpu-fast.toml \
    --data "$data" --json "$out/reference.json" >"$out/reference.txt" 2>"$out/reference.log"
# 3. The paper's recipe, shortened.
"$python" benchmarks/train.py --only-to --to 0.93 --recipe benchmarks/gpu-paper-short.toml \
    --data "$data" --json "$out/paper-short.json" >"$out/paper-short.txt" 2>"$out/paper-short.log"

cat "$out/gpu.csv"
for name in speed-bc40 speed-bc100 reference paper-short; do
    echo "--- $name"
    cat "$out/$name.txt"
done

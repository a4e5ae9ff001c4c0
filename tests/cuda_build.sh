#!/usr/bin/env bash
# Builds model-minilm with CUDA and checks that it links and loads, without needing a GPU; then, where there is one, runs
# the reference cases on it. Makes its own environment from PyPI. Not a part of the tests: compiling candle's kernels
# takes ten minutes and more, and the toolkit is a download of a gigabyte.
#
#   tests/cuda_build.sh [FOLDER]      FOLDER: where the toolkit, the build and the library go (target/cuda)
#
# $CUDA_COMPUTE_CAP chooses the GPUs that the library is for (90: Hopper and newer). A CUDA toolkit that $CUDA_HOME names is
# used instead of PyPI's.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mkdir -p "${1:-target/cuda}" && cd "${1:-target/cuda}" && pwd)
file=libcodex_plugin_model_minilm.so
[ "$(uname -s)" = Linux ] || { echo "skipped: this check is for Linux"; exit 0; }

step() { printf '\n== %s\n' "$1"; }
fail() { echo "FAILED: $1"; exit 1; }

step "toolkit"
if [ -z "${CUDA_HOME:-}" ]; then
    [ -d "$folder/venv" ] || python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet "nvidia-cuda-nvcc==13.0.*" "nvidia-cuda-cccl==13.0.*" \
        "nvidia-cuda-runtime==13.0.*" "nvidia-cuda-nvrtc==13.0.*" "nvidia-curand==10.4.0.*" "nvidia-cublas==13.0.*" \
        "nvidia-cuda-crt==13.0.*" "nvidia-nvvm==13.0.*"
    CUDA_HOME=$(echo "$folder"/venv/lib/python3*/site-packages/nvidia/cu13)
    # Wheels have no names for the linker: lib64, libX.so beside libX.so.13.
    ln -sfn lib "$CUDA_HOME/lib64"
    for library in "$CUDA_HOME"/lib/lib{cublas,cublasLt,cudart,curand,nvrtc}.so.*; do
        ln -sf "${library##*/}" "${library%%.so.*}.so"
    done
fi
# The driver's library comes with the driver, so a machine without a GPU has none to link with. This one has its name and
# its functions, each of which says that there is no device (100). It must have the functions: the linker leaves out a
# library that resolves nothing, and the plugin would never ask for the driver.
stubs=$folder/stubs
mkdir -p "$stubs"
grep -oE '\bcu[A-Z][A-Za-z0-9_]*' "$CUDA_HOME/include/cuda.h" | sort -u |
    sed 's/.*/int &(void) { return 100; }/' >"$stubs/libcuda.c"
"${CC:-cc}" -shared -Wl,-soname,libcuda.so.1 -o "$stubs/libcuda.so.1" "$stubs/libcuda.c"
ln -sf libcuda.so.1 "$stubs/libcuda.so"
mkdir -p "$CUDA_HOME/lib/stubs" 2>/dev/null && ln -sf "$stubs/libcuda.so.1" "$CUDA_HOME/lib/stubs/libcuda.so"
export CUDA_HOME CUDA_PATH=$CUDA_HOME CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90} PATH=$CUDA_HOME/bin:$PATH
nvcc --version | tail -n 2

step "build"
cargo build --release --locked --package codex-plugin-model-minilm --features cuda --target-dir "$folder/target"
mkdir -p "$folder/plugins"
cp "$folder/target/release/$file" "$folder/plugins/"
library=$folder/plugins/$file
ls -l "$library" | awk '{print $5 " bytes: " $9}'

step "link"
for needed in libcuda.so.1 libcublas.so libcudart.so; do
    readelf -d "$library" | grep -q "NEEDED.*$needed" || fail "the library does not ask for $needed"
done
if LD_LIBRARY_PATH=$stubs:$CUDA_HOME/lib ldd -r "$library" 2>&1 | grep -E 'undefined symbol|not found'; then
    fail "the library lacks something"
fi
echo "ok: everything that it needs is named and found"

step "load"
# The README's build, so that what it left is used again.
cargo build --release --locked --workspace
host=target/release/codex-ml
# $1: the loader's path, then the device; prints what the host says of a run of one step.
run() {
    local path=$1 device=$2
    rm -rf "$folder/runs"
    LD_LIBRARY_PATH=$path "$host" --plugin-dir "$folder/plugins" train run.dir="$folder/runs" run.name=check \
        training.steps=1 device="$device" 2>&1
}
# $1: what is checked; $2: the exit code that is due; $3: what must be said; the rest: arguments of run.
expect() {
    local what=$1 due=$2 text=$3 said code=0
    shift 3
    said=$(run "$@") || code=$?
    [ "$code" = "$due" ] || fail "$what: exit code $code, not $due: $said"
    grep -qF -- "$text" <<<"$said" || fail "$what: no word of '$text' in: $said"
    echo "ok: $what: exit code $code, $(grep -F -- "$text" <<<"$said" | head -n 1)"
}
if ldconfig -p | grep -q 'libcuda\.so\.1'; then
    echo "skipped: what is said without a driver; this machine has one"
else
    expect "no driver" 3 "libcuda.so.1" "$CUDA_HOME/lib" auto
fi
expect "a driver without a device, cuda:0" 2 "cuda:0" "$stubs:$CUDA_HOME/lib" cuda:0
expect "a driver without a device, auto" 0 "computing on the CPU" "$stubs:$CUDA_HOME/lib" auto

step "reference cases on cuda:0"
# The tests look for a device themselves, and say so when they find none.
if ldconfig -p | grep -q 'libcuda\.so\.1'; then driver=; else driver=$stubs:; fi
LD_LIBRARY_PATH=$driver$CUDA_HOME/lib cargo test --release --locked --package codex-plugin-model-minilm --features cuda \
    --target-dir "$folder/target" --test model -- --nocapture cuda

step "done"

#!/bin/sh
# Runs the fuzz targets, each for SECONDS, and prints how often each was executed and what was found:
#
#   tests/fuzz/run.sh [SECONDS [TARGET …]]        60 seconds and all targets where nothing is said
#
# Needs cargo-fuzz (cargo install cargo-fuzz --locked). Any toolchain will do: the code under test has no unsafe of its
# own but loading what was compiled, so it is built without a sanitizer, which alone would need a nightly compiler, and
# with overflow checks and debug assertions. What is found lies in tests/fuzz/artifacts; the exit code is then 1.
set -eu

seconds=${1:-60}
[ $# -eq 0 ] || shift
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}/fuzz
[ $# -gt 0 ] || set -- gates manifest compile returned sanitizer

# The sanitizer alone needs nothing of the host, which takes minutes to compile.
features=
[ "$*" != sanitizer ] || features=--no-default-features

fuzz() {
    command=$1
    shift
    # cargo-fuzz passes flags that only some compilers know, and asks for none of them with `-s none`.
    cargo fuzz "$command" --sanitizer none --fuzz-dir "$here" --target-dir "$target" $features "$@"
}

# Every input becomes a file: in memory, where there is such a folder.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm

fuzz build
found=0
for name in "$@"; do
    # New inputs go to a folder of their own: what is committed stays as it is.
    work=$target/corpus/$name
    mkdir -p "$work"
    log=$target/$name.log
    if fuzz run "$name" "$work" "$here/corpus/$name" -- -max_total_time="$seconds" -timeout=20 \
        -rss_limit_mb=4096 -max_len=20000 -print_final_stats=1 >"$log" 2>&1; then
        outcome="nothing found"
    else
        outcome="FOUND, see $log"
        found=1
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
    echo "$name: ${executions:-0} executions in ${seconds} s, ${covered:-no coverage}, $outcome"
done
exit $found

#!/usr/bin/env bash
# Proves the one direction of dependencies: which package must never be reachable from which room.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
# $1: a crate that must not be there; the rest: the packages that must not reach it through their normal dependencies.
absent() {
    local crate=$1 package tree
    shift
    for package in "$@"; do
        tree=$(cargo tree --locked --offline --edges normal,build --prefix none --package "$package" --format '{p}')
        if grep -q "^$crate v" <<<"$tree"; then
            echo "$package must not depend on $crate, but does:"
            cargo tree --locked --offline --edges normal,build --package "$package" --invert "$crate" | head -n 20
            failed=1
        else
            echo "ok: $crate is not under $package"
        fi
    done
}

plugins=$(cargo metadata --locked --offline --no-deps --format-version 1 |
    tr ',' '\n' | sed -n 's/.*"name":"\(codex-plugin-[a-z-]*\|codex-nn\|codex-peft\)"$/\1/p' | grep -v '^codex-plugin-api$' | sort -u)
[ -n "$plugins" ] || { echo "no plugin package found"; exit 1; }

absent candle-core codex-ml codex-plugin-api codex-redaction codex-peft codex-plugin-adapter-lora
absent codex-ml codex-plugin-api codex-redaction $plugins
absent tokio codex-plugin-api codex-redaction
absent wasmtime codex-plugin-api codex-redaction $plugins
exit "$failed"

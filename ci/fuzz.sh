#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME each (default 10s).
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
grep -rlE '^func Fuzz' --include='*_test.go' . | grep -v /compat/ | while read -r file; do
  grep -oE '^func Fuzz[A-Za-z0-9_]*' "$file" | awk '{print $2}' | while read -r target; do
    echo "--- $(dirname "$file") $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" -fuzzminimizetime 1x "$(dirname "$file")" </dev/null >"$log" 2>&1 && continue
    # On a busy machine Go's fuzzer calls it a failure that a worker was still at work when
    # the time was up. A real failure has an input.
    if grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; then
      echo "(time was up)"
      continue
    fi
    cat "$log"
    exit 1
  done
done

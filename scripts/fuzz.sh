#!/usr/bin/env bash
# Builds the fuzz targets (preset asan: clang, address and undefined-behaviour sanitizers) and runs them, one after the other.
#
#   scripts/fuzz.sh [SECONDS_EACH] [TARGET…]      default: 600 seconds, all targets (the folders of tests/fuzz/corpus)
#
# New inputs are collected in build/asan/corpus/TARGET, findings in build/asan/findings. Fails at the first finding: fix
# it, and keep the input in tests/fuzz/corpus/TARGET, where the test fuzz_regressions runs it from then on. To keep the
# useful ones of the new inputs:
#
#   FL_FUZZ_TARGET=idx build/asan/fuzz_targets -merge=1 tests/fuzz/corpus/idx build/asan/corpus/idx
#
# Without clang nothing is done.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

say() { echo "fuzz.sh: $*" >&2; }

seconds=${1:-600}
targets=("${@:2}")
if ((${#targets[@]} == 0)); then
  for folder in tests/fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done
fi

command -v clang++ >/dev/null 2>&1 || {
  say "skipped: there is no clang++ (Debian: clang, libclang-rt-dev)"
  exit 0
}
if [[ -z ${FL_FUZZ_NO_BUILD:-} ]]; then
  cmake --preset asan >/dev/null
  cmake --build --preset asan --target fuzz_targets
fi

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
mkdir -p build/asan/findings
for target in "${targets[@]}"; do
  corpus=build/asan/corpus/$target
  log=build/asan/findings/$target.log
  mkdir -p "$corpus"
  options=(-max_total_time="$seconds" -max_len=4096 -timeout=30 -rss_limit_mb=2048 -malloc_limit_mb=256
           -print_final_stats=1 -artifact_prefix="build/asan/findings/$target-")
  [[ ! -e tests/fuzz/$target.dict ]] || options+=(-dict="tests/fuzz/$target.dict")
  FL_FUZZ_TARGET=$target build/asan/fuzz_targets "${options[@]}" "$corpus" "tests/fuzz/corpus/$target" >"$log" 2>&1 || {
    tail -n 60 "$log" >&2
    say "$target: FOUND SOMETHING, see $log and build/asan/findings/"
    exit 1
  }
  coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 || true)
  runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
  say "$target: $runs executions, ${coverage:-cov: ?}, $(find "$corpus" "tests/fuzz/corpus/$target" -type f | wc -l) inputs"
done

#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests; then the tests that need no torch under sanitizers, and
# the fuzz targets for a moment.
#
#   scripts/test.sh
#
#   FL_TEST_SANITIZERS=0    leaves out sanitizers and fuzz targets, which need clang
#   FL_TEST_FUZZ_SECONDS=N  runs each fuzz target for N seconds (default: 5); scripts/fuzz.sh runs them longer
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

unity=()
step() { echo "== $((SECONDS / 60)) min $((SECONDS % 60)) s: $*" >&2; }

step "dependencies"
scripts/install_deps.sh

step "MNIST (the tests that need it are skipped where it cannot be had)"
scripts/fetch_mnist.sh >/dev/null || true

step "build (preset release)"
# From nothing, many files as one are compiled in a third of the time; a folder that is there stays as it is.
[[ -e build/release/CMakeCache.txt ]] || unity=(-DFL_UNITY=ON)
cmake --preset release "${unity[@]}"
cmake --build --preset release

step "tests"
ctest --preset release

if [[ ${FL_TEST_SANITIZERS:-1} != 1 ]]; then
  step "all tests passed; sanitizers and fuzz targets were left out"
elif ! command -v clang++ >/dev/null 2>&1; then
  step "all tests passed; sanitizers and fuzz targets were skipped, for there is no clang++"
else
  # One build serves the address and undefined-behaviour sanitizers and the fuzz targets.
  for preset in asan tsan; do
    programs=(unit_tests actor_tests)
    [[ $preset != asan ]] || programs+=(fuzz_targets)
    step "build with sanitizers, what needs no torch (preset $preset)"
    cmake --preset "$preset"
    cmake --build --preset "$preset" --target "${programs[@]}"
    step "tests with sanitizers (preset $preset)"
    ctest --preset "$preset" --tests-regex '^(unit_tests|actor_tests)$'
  done
  step "fuzz targets, ${FL_TEST_FUZZ_SECONDS:-5} s each"
  FL_FUZZ_NO_BUILD=1 scripts/fuzz.sh "${FL_TEST_FUZZ_SECONDS:-5}"
  step "all tests passed"
fi

#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests.
#
#   scripts/test.sh
#
#   FL_TEST_SANITIZERS=1   builds and tests again with the address and undefined-behaviour sanitizers, and with the
#                          thread sanitizer, without what needs torch
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

step() { echo "== $*" >&2; }

step "dependencies"
scripts/install_deps.sh

step "MNIST (the tests that need it are skipped where it cannot be had)"
scripts/fetch_mnist.sh >/dev/null || true

step "build (preset release)"
cmake --preset release
cmake --build --preset release

step "tests"
ctest --preset release

if [[ ${FL_TEST_SANITIZERS:-0} == 1 ]]; then
  for preset in asan tsan; do
    step "build and unit tests with sanitizers (preset $preset, without torch)"
    cmake --preset "$preset" -DFL_WITH_TORCH=OFF
    cmake --build --preset "$preset" --target unit_tests actor_tests
    ctest --preset "$preset" --tests-regex '^(unit_tests|actor_tests)$'
  done
fi
step "all tests passed"

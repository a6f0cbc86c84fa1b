#!/usr/bin/env bash
# From nothing to a trained model: installs what is missing, builds, fetches MNIST and trains with ten uneven clients in
# this process. Ends with the accuracy and where the files are.
#
#   scripts/quickstart.sh [OPTION]...     options are passed on to fl_actor_node, such as --set run.max_updates=50
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

step() { echo "== $*" >&2; }

step "1/4 dependencies"
scripts/install_deps.sh

step "2/4 build (a few minutes the first time)"
cmake --preset release -DFL_TESTS=OFF -DFL_BENCH=OFF
cmake --build --preset release --target fl_actor_node

step "3/4 data"
data=()
if mnist=$(scripts/fetch_mnist.sh); then
  data=(--set "data.dir=${mnist##*$'\n'}")
else
  data=(--set data.name=synthetic_digits)
  step "MNIST cannot be had; training on the embedded drawn digits instead"
fi

step "4/4 training: fl_actor_node --role simulate --config configs/mnist_async.toml ${data[*]} $*"
exec build/release/fl_actor_node --role simulate --config configs/mnist_async.toml "${data[@]}" "$@"

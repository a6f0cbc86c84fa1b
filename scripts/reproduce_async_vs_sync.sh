#!/bin/sh
# Synchronous and asynchronous training of the same uneven federation (configs/uneven_100.toml), side by side: the page of
# docs/simulation.md. About two minutes for each of nine runs on two cores.
#
#   scripts/reproduce_async_vs_sync.sh [FOLDER]      (default: runs/async_vs_sync)
#
# Runs that are complete in FOLDER are not repeated. FL_NODE: the program (default: build/release/fl_actor_node).
set -eu
cd "$(dirname "$0")/.."
folder=${1:-runs/async_vs_sync}
node=${FL_NODE:-build/release/fl_actor_node}
mkdir -p "$folder"

run() { # NAME SETTING...
  name=$1
  shift
  runs="${runs:-} $folder/$name"
  grep -q '"status": "completed"' "$folder/$name/summary.json" 2>/dev/null && return
  rm -rf "${folder:?}/$name"
  set -- $(for setting in "$@"; do printf ' --set %s' "$setting"; done)
  echo "$name"
  "$node" --role simulate --config configs/uneven_100.toml --no-progress --log-level warn --out "$folder/$name" "$@" \
    >"$folder/$name.txt"
}

run sync strategy.name=fedavg evaluate.every=1
run sync_overselect strategy.name=fedavg evaluate.every=1 clients.fraction=0.7 schedule.redundancy=1.3
run sync_sampled strategy.name=fedavg evaluate.every=2 clients.fraction=0.3
run sync_oort strategy.name=fedavg evaluate.every=2 clients.fraction=0.3 schedule.policy=oort
run fedasync strategy.name=fedasync evaluate.every=100
run fedbuff strategy.name=fedbuff strategy.buffer_size=10 evaluate.every=10
run async
run async_adaptive schedule.adaptive_work=true
run async_oort schedule.policy=oort schedule.max_concurrent=50
# shellcheck disable=SC2086
"$node" compare $runs --target "${FL_TARGET:-0.9}" --out "$folder/compare.html"

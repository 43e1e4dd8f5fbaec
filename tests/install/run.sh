#!/bin/sh
# run.sh BUILD SOURCE: installs a build, then configures, builds and runs a project outside against it.
set -eu
build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/usr" >/dev/null
"$work/usr/bin/ferry" --version
"$work/usr/bin/optimum-cli" export onnx --help >/dev/null

cmake -S "$source/examples/own_architecture" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_BUILD_TYPE=Debug >/dev/null
cmake --build "$work/build"

# A checkpoint for it, by hand: 10 words, 4 numbers each, 2 labels, all zero: 50 numbers of 4 bytes.
mkdir "$work/model"
echo '{"model_type": "mean-classifier", "vocab_size": 10, "hidden_size": 4}' >"$work/model/config.json"
header='{"embeddings.weight":{"dtype":"F32","shape":[10,4],"data_offsets":[0,160]},"classifier.weight":{"dtype":"F32","shape":[2,4],"data_offsets":[160,192]},"classifier.bias":{"dtype":"F32","shape":[2],"data_offsets":[192,200]}}'
{
  printf "\\$(printf '%03o' ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header"
  head -c 200 /dev/zero
} >"$work/model/model.safetensors"
"$work/build/own_architecture" "$work/model" "$work/out"
"$work/usr/bin/ferry" inspect "$work/out"
test -s "$work/out/model.onnx"

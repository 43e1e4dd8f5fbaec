#!/usr/bin/env bash
# Measures ferry and prints a Markdown table: what, bound, measured.
#
#   bench/run.sh [FERRY]           BENCH_DIR     where to work, 2 GB (default /tmp/ferry-bench)
#                                  BENCH_RUNS    repetitions (default 5)
#                                  BENCH_LARGE=1 the 10 GB checkpoint, too: writes 10 GB
#                                  FERRY_ORACLE_VENV  a virtual environment with Optimum, for the comparisons
set -euo pipefail
cd "$(dirname "$0")/.."
ferry=$(realpath "${1:-build/ferry}")
work=${BENCH_DIR:-/tmp/ferry-bench}
runs=${BENCH_RUNS:-5}
venv=${FERRY_ORACLE_VENV:-}
model=$work/bert-base
out=$work/out
mkdir -p "$work"

now() { echo "${EPOCHREALTIME/./}"; }  # Microseconds.
# timed COMMAND...: its time in microseconds.
timed() {
  local begin
  begin=$(now)
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  echo $(($(now) - begin))
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() { printf '| %s | %s | %s |\n' "$@"; }
seconds() { awk -v us="$1" 'BEGIN { printf "%.2f s", us / 1e6 }'; }
ms() { awk -v us="$1" 'BEGIN { printf "%.1f ms", us / 1e3 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
mega() { awk -v b="$1" 'BEGIN { printf "%.1f MB", b / 1e6 }'; }

command=("$ferry" export onnx -q --overwrite -m)
fresh() { rm -rf "$out"; }
copy() { cp -r "$model" "$out" && sync "$out"/*; }

# peak_anon COMMAND...: the most anonymous memory it held, kB: what is not file pages that the system can drop.
peak_anon() {
  local pid most=0 key value
  "$@" >"$work/log" 2>&1 &
  pid=$!
  while [ -e "/proc/$pid/status" ]; do
    while read -r key value _; do
      if [ "$key" = RssAnon: ] && [ "$value" -gt "$most" ]; then most=$value; fi
    done <"/proc/$pid/status" 2>/dev/null || true
    sleep 0.002
  done
  wait "$pid" || { cat "$work/log" >&2; exit 1; }
  echo "$most"
}

make_checkpoint() { build/bench/bench_make_checkpoint "$@"; }
[ -e "$model/model.safetensors" ] || make_checkpoint "$model" 768 12 3072 30522 random
cat "$model/model.safetensors" >/dev/null  # Into the page cache: both sides read it from there.

echo "| what | bound | measured |"
echo "|---|---|---|"

ratios=() exports=()
for ((i = 0; i < runs; ++i)); do
  fresh; copied=$(timed copy)
  fresh; exported=$(timed "${command[@]}" "$model" --no-validation "$out")
  exports+=("$exported")
  ratios+=("$(ratio "$exported" "$copied")")
done
row "export without validation / cp + sync, median of $runs pairs" "1.5" \
  "$(printf '%s\n' "${ratios[@]}" | median) (of $(seconds "$(printf '%s\n' "${exports[@]}" | median)"); ratios ${ratios[*]})"

validated=()
for ((i = 0; i < runs; ++i)); do fresh; validated+=("$(timed "${command[@]}" "$model" "$out")"); done
ours=$(printf '%s\n' "${validated[@]}" | median)
if [ -n "$venv" ]; then
  theirs=$(for ((i = 0; i < 3; ++i)); do
    rm -rf "$work/optimum"
    HF_HUB_OFFLINE=1 timed "$venv/bin/optimum-cli" export onnx -m "$model" --task text-classification "$work/optimum"
  done | median)
  row "export with validation: Optimum / ferry" "at least 10" "$(ratio "$theirs" "$ours") ($(seconds "$theirs") / $(seconds "$ours"))"
else
  row "export with validation" "" "$(seconds "$ours")"
fi

fresh
row "peak anonymous memory without validation" "150 MB" "$(mega $(($(peak_anon "${command[@]}" "$model" --no-validation "$out") * 1024)))"
if [ -n "${BENCH_LARGE:-}" ]; then
  [ -e "$work/large/model.safetensors" ] || make_checkpoint "$work/large" 2560 32 10240 30522 sparse
  fresh
  row "the same, a checkpoint of $(mega "$(stat -c %s "$work/large/model.safetensors")")" "150 MB" \
    "$(mega $(($(peak_anon "${command[@]}" "$work/large" --no-validation "$out") * 1024)))"
  fresh
fi

in_place=()
rm -rf "$work/in-place" && cp -r "$model" "$work/in-place"
for ((i = 0; i < runs; ++i)); do
  in_place+=("$(timed "${command[@]}" "$work/in-place" --no-validation --weights in-place "$work/in-place")")
done
row "--weights in-place, time" "100 ms" "$(ms "$(printf '%s\n' "${in_place[@]}" | median)")"
row "--weights in-place, written" "1 MB" "$(mega "$(stat -c %s "$work/in-place/model.onnx")")"

row "\`ferry --help\`, median of 21" "20 ms" "$(ms "$(for ((i = 0; i < 21; ++i)); do timed "$ferry" --help; done | median)")"
strip -o "$work/stripped" "$ferry"
row "stripped program" "10 MB" "$(mega "$(stat -c %s "$work/stripped")")"

fresh
nodes=$("$ferry" export onnx --json -q -m "$model" --no-validation "$out" | awk -F'[:,]' '/"nodes"/ { print $2 + 0 }')
if [ -n "$venv" ]; then
  count='import onnx, sys; print(len(onnx.load(sys.argv[1], load_external_data=False).graph.node))'
  row "nodes of the graph" "Optimum's: $("$venv/bin/python" -c "$count" "$work/optimum/model.onnx")" "$nodes"
  "$venv/bin/python" bench/latency.py "$out/model.onnx" "$work/optimum/model.onnx"
else
  row "nodes of the graph" "" "$nodes"
fi

fresh
"$ferry" export onnx -q -m examples/checkpoints/distilbert-squad-tiny "$out"
build/bench/bench_question_answering "$out" | tee "$work/qa"
if [ -n "$venv" ]; then
  theirs=$("$venv/bin/python" bench/pipeline_latency.py "$out" 2>/dev/null)
  ours=$(sed 's/.*| \([0-9]*\) us .*/\1/' "$work/qa")
  row "question answering: transformers' pipeline over Optimum's model / ferry" "" \
    "$(ratio "$theirs" "$ours") ($theirs us / $ours us)"
fi

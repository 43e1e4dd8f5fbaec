#!/usr/bin/env bash
# Includes go downwards only: a file of src/<layer> includes files of its own layer and of layers of a lower
# level. The levels are those of CMakeLists.txt, so that there is one list.
set -euo pipefail
cd "$(dirname "$0")/.."

find src -name '*.cc' -o -name '*.h' | LC_ALL=C sort | xargs awk '
  FILENAME == "CMakeLists.txt" {
    if (match($0, /^ferry_layer\([a-z_]+/)) {
      name = substr($0, RSTART + 12, RLENGTH - 12)
      match($0, /LEVEL [0-9]+/)
      level[name] = substr($0, RSTART + 6, RLENGTH - 6) + 0
    }
    next
  }
  match($0, /^#include "[a-z_]+\//) {
    included = substr($0, RSTART + 10, RLENGTH - 11)
    split(FILENAME, parts, "/")
    own = parts[2]
    if (included == "ferry") next  # The public headers.
    if (!(own in level)) { complain("src/" own " is no layer of CMakeLists.txt"); next }
    if (!(included in level)) { complain("\"" included "\" is no layer of CMakeLists.txt"); next }
    if (included != own && level[included] >= level[own])
      complain(own " (level " level[own] ") must not include " included " (level " level[included] ")")
  }
  function complain(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
  END { exit bad }
' CMakeLists.txt
echo "layers: includes go downwards only"

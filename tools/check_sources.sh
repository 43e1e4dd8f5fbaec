#!/usr/bin/env bash
# What the library may not do (only the command line prints, reads the environment and ends the process), and
# what no source may hold.
set -euo pipefail
shopt -s lastpipe  # So that complain(), at the end of a pipe, can set `bad`.
cd "$(dirname "$0")/.."
bad=0

# complain TITLE: if the standard input is not empty, shows it and remembers the failure.
complain() {
  local found
  found=$(cat)
  if [ -n "$found" ]; then
    printf '%s:\n%s\n' "$1" "$found"
    bad=1
  fi
}
# search PATTERN FILE...: grep that takes finding nothing for good. Comment lines may name what code may not.
search() { LC_ALL=C grep -nP "$@" | grep -vE '^[^:]+:[0-9]+: *//' || true; }
lines() { LC_ALL=C awk -v most="$1" '{ n[FILENAME]++ } END { for (f in n) if (n[f] > most) print f ": " n[f] }' "${@:2}"; }

mapfile -t shipped < <(find src include \( -name '*.cc' -o -name '*.h' \) | LC_ALL=C sort)
mapfile -t all < <(find src include tests fuzz bench \( -name '*.cc' -o -name '*.h' \) 2>/dev/null | LC_ALL=C sort)
mapfile -t headers < <(printf '%s\n' "${shipped[@]}" | grep '\.h$')
mapfile -t library < <(printf '%s\n' "${shipped[@]}" | grep -v '^src/cli/')

search 'std::(cout|cerr|clog)\b|\b(printf|puts|fprintf|getenv|abort|exit|_exit|system|popen|setlocale)\(' "${library[@]}" |
  complain "only src/cli prints, reads the environment or ends the process"
search '(^|[^_a-zA-Z])assert\(' "${library[@]}" | complain "an assertion aborts: throw, or call check_internal"
# The check mark belongs to the lines that Optimum logs.
search '[^\x00-\x7F]' "${shipped[@]}" | sed 's/\xe2\x9c\x93//g' | { LC_ALL=C grep -P '[^\x00-\x7F]' || true; } |
  complain "only ASCII in sources"
search '\t| +$' "${all[@]}" | complain "no tabs, and no blanks at the end of a line"
lines 300 "${headers[@]}" | complain "headers of more than 300 lines"
lines 750 "${shipped[@]}" | complain "sources of more than 750 lines"

[ $bad = 0 ] && echo "sources: nothing that does not belong there"
exit $bad

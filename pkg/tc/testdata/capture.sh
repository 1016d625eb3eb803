#!/usr/bin/env bash
# Captures what iproute2's tc sends, one file per line of commands.txt: the command in a comment, then the request in
# hexadecimal. tc sends its request before the kernel can refuse it, so no kernel support for flower is needed.
# Needs: root, iproute2, strace. Run in this directory; the results are committed.
set -euo pipefail
ns=tc-capture-$$
ip netns add "$ns"
trap 'ip netns del "$ns"' EXIT
ip -n "$ns" link add p0 index 10 type veth peer name p1 index 11
while read -r name command; do
  [[ -z $name || $name == \#* ]] && continue
  log=$(mktemp)
  # shellcheck disable=SC2086 # the command is a list of words
  ip netns exec "$ns" strace -qq -o "$log" -e trace=sendmsg,sendto -e write=3,4,5 tc $command >/dev/null 2>&1 || true
  { # the last request is the one: those before it look up names of devices
    echo "# tc $command"
    awk '/^sendmsg|^sendto/ {n = 0; delete line} /^ [|] [0-9a-f][0-9a-f]* / {line[n++] = substr($0, 11, 49)} END {for (i = 0; i < n; i++) print line[i]}' "$log" |
      sed 's/  */ /g; s/^ //; s/ $//'
  } >"$name.hex"
  rm -f "$log"
done <commands.txt

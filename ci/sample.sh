#!/usr/bin/env bash
# Copies some scenarios of a folder into a new one, and prints its path. Of the folder come COUNT, drawn by DRAW, any
# text: the same text draws the same ones. Those that are named come always.
#   ci/sample.sh FOLDER COUNT DRAW [NAME...]
set -euo pipefail
folder=$1 count=$2 draw=$3
shift 3
new=$(mktemp -d)/$(basename "$folder")
mkdir "$new"
for name; do cp "$folder/$name.yaml" "$new"; done
for file in "$folder"/*.yaml; do
  [ -e "$new/$(basename "$file")" ] || printf '%s %s\n' "$(printf '%s %s' "$draw" "$(basename "$file")" | sha256sum | cut -d' ' -f1)" "$file"
done | LC_ALL=C sort | sed "${count}q" | while read -r _ file; do cp "$file" "$new"; done
echo "$new"

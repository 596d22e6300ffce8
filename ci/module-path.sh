#!/usr/bin/env bash
# Gives the module of this checkout another path, for whoever hosts it:
#
#	ci/module-path.sh example.com/you/faultline
#
# It changes go.mod and every import. The path stands nowhere else: programs ask their own build for it.
set -euo pipefail
cd "$(dirname "$0")/.."
new=${1:?usage: ci/module-path.sh MODULE-PATH}
old=$(awk '$1 == "module" { print $2; exit }' go.mod)
[[ $new =~ ^[A-Za-z0-9._~/-]+$ ]] || { echo "$new is no module path" >&2; exit 254; }
go mod edit -module "$new"
# Packages, in imports and in the table of layers; the root package has the name of the tool.
git ls-files -z '*.go' | xargs -0 perl -pi -e "s{\"\\Q$old\\E/}{\"$new/}g; s{^(\t|import )\"\\Q$old\\E\"\$}{\$1\"$new\"}"
perl -pi -e "s{\"\\Q$old\\E\"}{\"$new\"}g" layers_test.go
gofmt -l . | xargs -r gofmt -w
go build ./...
echo "the module is $new now"

#!/usr/bin/env bash
# Prints the path of a static etcd, which it builds into the user's cache if it is not there:
#   faultline test ci/etcd --set binary="$(ci/etcd-binary.sh)"
# ETCD_VERSION is another one than the default; the module go.etcd.io/etcd/server/v3 must have it.
set -euo pipefail
version=${ETCD_VERSION:-v3.6.12}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/faultline/etcd
binary=$cache/etcd-$version-$(go env GOARCH)
if [ ! -x "$binary" ]; then
  mkdir -p "$cache"
  dir=$(mktemp -d "$cache/build-XXXXXX")
  trap 'rm -rf "$dir"' EXIT
  cat >"$dir/main.go" <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
  (
    cd "$dir"
    export GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0 GOOS=linux
    go mod init faultline.invalid/etcd
    go get "go.etcd.io/etcd/server/v3@$version"
    go build -trimpath -ldflags='-s -w' -o etcd .
  ) >&2
  mv "$dir/etcd" "$binary" # at once: another script may be doing the same
fi
echo "$binary"

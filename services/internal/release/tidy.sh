#!/usr/bin/env bash
# Runs `go mod tidy` in each module. They require one another at a version that isn't tagged yet, so a
# module proxy made from this tree stands before the usual one; what it says of our own modules is kept out of
# go.sum, since it changes with every commit.
set -euo pipefail
cd "$(dirname "$0")/../../.."
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
go run ./services/internal/release/cmd/modproxy "$work/proxy"
cache=$(go env GOMODCACHE)
GOPROXY="file://$work/proxy,file://$cache/cache/download,$(go env GOPROXY)"
export GOPROXY GOMODCACHE="$work/cache" GONOSUMDB="github.com/headwayhq/*" GOWORK=off GOFLAGS=-mod=mod
for m in "$@"; do
  echo "tidy $m"
  (cd "$m" && go mod tidy && { [ ! -e go.sum ] || sed -i.old '/^github\.com\/headwayhq\//d' go.sum; rm -f go.sum.old; })
done

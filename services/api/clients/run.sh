#!/usr/bin/env bash
# Lints the descriptions of the API, generates a client from them with each generator, compiles it, and reads every golden answer with it.
# `make test-clients` runs this. What can't be had on this machine is said, and skipped.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
out=$root/bin/clients
openapi=$root/services/api/openapi.json
stories=$root/pkg/diagnostics/testdata/stories
go=${GO:-go}
oapi_codegen=github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2
oapi_runtime=github.com/oapi-codegen/runtime@v1.9.0
spectral=@stoplight/spectral-cli@6.16.3
mkdir -p "$out"

note() { echo "NOTE: $*"; }

# quiet shows what a program said only if it fails.
quiet() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log"
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# read_in_go compiles the package in FOLDER/gen, and reads the answers with it.
read_in_go() {
  cp "$here/testdata/reader/main.go" "$1/"
  (cd "$1" && export GOWORK=off GOFLAGS=-mod=mod && quiet "$go" mod tidy && "$go" vet ./... && "$go" run . "$stories")
}

# fresh makes an empty folder with a Go module.
fresh() {
  rm -rf "$1"
  mkdir -p "$1/gen"
  printf 'module reader\n\ngo 1.26\n' >"$1/go.mod"
}

lint() {
  echo "spectral: openapi.json and asyncapi.json"
  if ! quiet npm exec --yes --package "$spectral" -- spectral --version; then
    note "npm can't install $spectral: the descriptions were not linted"
    return
  fi
  npm exec --yes --package "$spectral" -- spectral lint --fail-severity hint --ruleset "$here/spectral.yaml" "$openapi" "$root/services/api/asyncapi.json"
}

with_oapi_codegen() {
  echo "oapi-codegen (Go)"
  if ! quiet "$go" run "$oapi_codegen" -version; then
    note "Go can't install $oapi_codegen: no client was made with it"
    return
  fi
  fresh "$out/oapi-codegen"
  "$go" run "$oapi_codegen" -generate types,client -package gen -o "$out/oapi-codegen/gen/gen.go" "$openapi"
  (cd "$out/oapi-codegen" && GOWORK=off quiet "$go" get "$oapi_runtime")
  read_in_go "$out/oapi-codegen"
}

with_openapi_typescript() {
  echo "openapi-typescript"
  local tools=$root/node_modules/.bin
  if [ ! -x "$tools/openapi-typescript" ]; then
    note "openapi-typescript isn't installed (make web): no types were made with it"
    return
  fi
  rm -rf "$out/typescript"
  mkdir -p "$out/typescript"
  quiet "$tools/openapi-typescript" "$openapi" -o "$out/typescript/generated.ts"
  node "$here/answers.mjs" "$stories" "$out/typescript/answers.ts"
  "$tools/tsc" --noEmit --strict --target es2022 --module esnext --moduleResolution bundler "$out/typescript/answers.ts"
}

with_openapi_python_client() {
  echo "openapi-python-client"
  rm -rf "$out/python-client"
  mkdir -p "$out/python-client"
  quiet "$python/bin/openapi-python-client" generate --meta none --path "$openapi" --output-path "$out/python-client/generated"
  (cd "$out/python-client" && PYTHONPATH=. PYTHONDONTWRITEBYTECODE=1 "$python/bin/python" "$here/read.py" "$stories")
}

# Its Go client refuses fields that it doesn't know, against JSON Schema's rules, unless told otherwise; without a prefix its constants
# collide.
with_openapi_generator() {
  echo "openapi-generator (Go)"
  fresh "$out/openapi-generator"
  JAVA_OPTS=-Xmx512m quiet "$python/bin/openapi-generator-cli" generate -g go -i "$openapi" -o "$out/openapi-generator/gen" \
    --global-property apiTests=false,modelTests=false,apiDocs=false,modelDocs=false \
    --additional-properties=packageName=gen,withGoMod=false,enumClassPrefix=true,disallowAdditionalPropertiesIfNotPresent=false
  rm -rf "$out/openapi-generator/gen/test"
  read_in_go "$out/openapi-generator"
}

if node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1; then
  lint
  with_openapi_typescript
else
  note "no Node 20 with npm: the descriptions were not linted, and openapi-typescript was not tried"
fi
with_oapi_codegen
python=$out/python
if python3 -m venv "$python" 2>/dev/null && "$python/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"; then
  with_openapi_python_client
  with_openapi_generator
else
  note "no Python with venv, or no package index: openapi-python-client and openapi-generator were not tried"
fi

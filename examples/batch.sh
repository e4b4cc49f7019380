#!/usr/bin/env bash
# Many scenes in, one class map and one layer each out; finished names flow from one command to the next.
#
#     examples/batch.sh OUT SCENE...
#
# A scene that fails is reported and the others go on; the script then ends with exit code 3.
# MODEL names another model than the built-in one.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: batch.sh OUT SCENE..." >&2; exit 2; }
out=$1
shift
mkdir -p "$out/masks" "$out/layers"

mapgen segment "$@" ${MODEL:+--model "$MODEL"} -o "$out/masks/" --overwrite |
    mapgen vectorize - --sieve 8px --simplify 1.5px -f gpkg -o "$out/layers/" --overwrite

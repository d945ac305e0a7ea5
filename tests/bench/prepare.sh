# Sourced by the benchmarks that train: in $folder, gone at the end, a text of the right size as tokens, text.h5. They
# want build/release/tranche (make build) and run in the project's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ -x build/release/tranche ]] || { echo "${0##*/}: build/release/tranche is missing: make build" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bash tests/bench/text.sh > "$folder/text.txt"
build/release/tranche tokenize --tokenizer byte --output "$folder/text.h5" "$folder/text.txt" > /dev/null 2>&1

#!/usr/bin/env bash
# Check the last commit in a fresh clone: `make demo`, `make check`, the extras, the wheel. The clone is removed at the end.
# (.ci/run covers `make check` and `make test`.)
set -euo pipefail
source=$(git rev-parse --show-toplevel)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone --quiet "$source" "$folder/rayner"
cd "$folder/rayner"
unset PYTHONPATH VIRTUAL_ENV

step() {
	echo "== $* ($SECONDS s)"
	"$@"
}

step make demo
for file in report.html tagged/run.json tagged/evahan fusion.json; do test -s "runs/demo/$file"; done
step .venv/bin/pip check
step make check
for extra in cpu gpu nf4 s3 gs vllm; do step .venv/bin/pip install --quiet --dry-run ".[$extra]"; done
step make release-check
test -z "$(git status --porcelain)" || { git status --short; echo "a step left files that git would add"; exit 1; }
echo "== all of it works in $SECONDS s"

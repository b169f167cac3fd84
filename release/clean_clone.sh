#!/usr/bin/env bash
# What .ci/run, which gives `make check` and `make test` in a fresh clone, leaves open: `make demo`, the extras, the wheel.
# From what is committed, in an empty folder that is removed again.
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
for extra in s3 gs vllm; do step .venv/bin/pip install --quiet --dry-run ".[$extra]"; done
step make release-check
test -z "$(git status --porcelain)" || { git status --short; echo "a step left files that git would add"; exit 1; }
echo "== all of it works in $SECONDS s"

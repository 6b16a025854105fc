#!/bin/sh
# fuzz.sh runs every fuzz target for a moment, each on its own as go test demands. Arguments: how long
# for each (a duration, or a number of runs with an x behind it), then packages; without packages all
# that have a target. What a target finds is saved in its package's testdata/fuzz: commit it.
set -eu

time=${1:-3s}
[ $# -eq 0 ] || shift
go=${GO:-go}

if [ $# -gt 0 ]; then
	files=$(grep -ls '^func Fuzz' $(printf '%s/*_test.go ' "$@"))
else
	files=$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz')
fi
[ -n "$files" ] || { echo "fuzz.sh: no fuzz target found" >&2; exit 1; }

targets=0
for file in $files; do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "$(dirname "$file") $target"
		# Without a bound on minimising, a new input may take a minute of its own.
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "./$(dirname "$file")"
		targets=$((targets + 1))
	done
done
echo "$targets fuzz targets ran for $time each and found nothing"

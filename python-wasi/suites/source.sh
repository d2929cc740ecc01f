#!/usr/bin/env bash
# source.sh PACKAGE: prints the path of the archive that a package of the guest is built from; gets it if the cache
# no longer has it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../recipe/common.sh
source "$here/recipe/common.sh"
# shellcheck source=../recipe/package.sh
source "$here/recipe/package.sh"
# shellcheck source=/dev/null # one of packages/
source "$here/packages/$1.sh"

cache=${VIVARIUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vivarium}/guest
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -r _ file sum _ <<<"$sources"
fetch_pypi "$file" "$sum" >&2
printf '%s\n' "$cache/downloads/$file"

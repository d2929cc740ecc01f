#!/usr/bin/env bash
# Builds the guest: CPython for WASI with the C embedding and the Python runner.
#
#   bash python-wasi/build.sh          build what is missing, copy it into dist/
#   bash python-wasi/build.sh --science  the same, and the guest with scientific packages; minutes more
#   bash python-wasi/build.sh --key    print the content keys of this checkout: of the guest, of the one with packages,
#                                      of that with scientific ones
#   bash python-wasi/build.sh --tests  pack CPython's test suite, print the archive's path
#   bash python-wasi/build.sh --profile  take CPython's profile anew, for another version of CPython or Clang
#
# The first run takes some minutes, later ones a second: finished parts are kept
# in ${VIVARIUM_CACHE:-${XDG_CACHE_HOME:-~/.cache}/vivarium}/guest, named by what
# they were made from, for all checkouts together. README.md has the details.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=recipe/common.sh
source "$here/recipe/common.sh"
# shellcheck source=versions.env
source "$here/versions.env"
# shellcheck source=recipe/network.sh
source "$here/recipe/network.sh"
# shellcheck source=recipe/cpython.sh
source "$here/recipe/cpython.sh"
# shellcheck source=recipe/guest.sh
source "$here/recipe/guest.sh"
# shellcheck source=recipe/package.sh
source "$here/recipe/package.sh"
# shellcheck source=recipe/packages.sh
source "$here/recipe/packages.sh"
# shellcheck source=recipe/science.sh
source "$here/recipe/science.sh"
# shellcheck source=recipe/tests.sh
source "$here/recipe/tests.sh"
# shellcheck source=recipe/profile.sh
source "$here/recipe/profile.sh"

# What a build must not depend on.
unset CC CXX CPP CFLAGS CXXFLAGS CPPFLAGS LDFLAGS LIBS MAKEFLAGS CONFIG_SITE
unset PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONDONTWRITEBYTECODE PYTHONHASHSEED
export LC_ALL=C SOURCE_DATE_EPOCH
umask 022
jobs=${VIVARIUM_JOBS:-$(nproc)}

cache=${VIVARIUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vivarium}/guest
[[ $cache = /* ]] || cache=$PWD/$cache
[[ $cache != *[[:space:]]* ]] || die "the cache's path has a blank in it: $cache" \
  "CPython's build can't cope with that; name another: VIVARIUM_CACHE=/some/folder"

# Three keys, from expensive to cheap; each includes the previous one.
kit_key=$({
  hash_script "$here/versions.env" "$here/recipe/network.sh" "$here/recipe/cpython.sh"
  hash_files "$here" recipe/profile/cpython.proftext.xz
} | sha256sum | cut -c1-16)
stdlib_key=$(printf '%s\n' "$kit_key" "$(hash_files "$here" recipe/library.py)" | sha256sum | cut -c1-16)
make_guest_key() {
  local sources
  [[ -f $here/runtime/runtime.py ]] || die "$here/runtime: the runner (runtime.py) is missing"
  mapfile -d '' -t sources < <(cd "$here" && find embed library runtime \( -name '*.[ch]' -o -name '*.py' \) \
    -not -name 'test_*' -not -path '*/tests/*' -print0 | sort -z)
  # shellcheck disable=SC2046 # names are words
  printf '%s\n' "$stdlib_key" "$(hash_files "$here" recipe/guest.sh "${sources[@]}")" "$(sha256sum <"$zones")" \
    "$(package_keys $(lean_packages))" | sha256sum | cut -c1-16
}
# The time zones that come with Go: Debian's differ between releases.
zones=$(cd "$here" && go env GOROOT)/lib/time/zoneinfo.zip
[[ -f $zones ]] || die "$zones is missing; it belongs to every installation of Go"
guest_key=$(make_guest_key)
find_packages
# The guest with packages is made of the other one and of the packages.
make_full_key() {
  # shellcheck disable=SC2046 # names are words
  { make_guest_key && package_keys $(package_names); } | sha256sum | cut -c1-16
}
full_key=$(make_full_key)
science_key=$(make_science_key)
kit=$cache/kit-$kit_key
stdlib=$cache/stdlib-$stdlib_key.zip
guest=$cache/guest-$guest_key
full=$cache/full-$full_key
science=$cache/science-$science_key
tests=$cache/tests-$(printf '%s\n' "$CPYTHON_SHA256" "$(hash_script "$here/recipe/tests.sh")" | sha256sum | cut -c1-16).tar.gz

# ensure_tools installs missing tools, or prints how to.
ensure_tools() {
  local tool missing=()
  for tool in "clang-$LLVM_MAJOR" "wasm-ld-$LLVM_MAJOR" "llvm-ar-$LLVM_MAJOR" make perl tclsh xz; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  compgen -G "/usr/lib/llvm-$LLVM_MAJOR/lib/clang/*/lib/*/*builtins*wasm32*" >/dev/null ||
    compgen -G "/usr/lib/llvm-$LLVM_MAJOR/lib/clang/*/lib/wasm32*/*builtins*" >/dev/null ||
    missing+=("compiler-rt for wasm32")
  [[ -e /usr/include/stdio.h ]] || missing+=("headers of the C library")
  ((${#missing[@]})) || return 0
  local install="apt-get install --no-install-recommends -y $TOOL_PACKAGES"
  command -v apt-get >/dev/null || die "missing: ${missing[*]}, and this is no Debian" \
    "build in a container of Debian 12 or 13, or fetch a built guest into python-wasi/dist/"
  ((EUID == 0)) || die "missing: ${missing[*]}" "install them: sudo $install"
  say "installing the tool chain: $TOOL_PACKAGES"
  mkdir -p "$cache"
  export DEBIAN_FRONTEND=noninteractive
  # Package lists may be old or missing: then a second try.
  $install >"$cache/apt.log" 2>&1 || { apt-get update && $install; } >>"$cache/apt.log" 2>&1 || {
    tail -n 20 "$cache/apt.log" >&2
    die "the tool chain can't be installed" "Debian 12 and 13 have it; the command was: $install"
  }
}

# lock_cache waits until no other run uses the cache.
lock_cache() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock -n 9 || {
    say "another build is at work in $cache; waiting for it"
    flock 9
  }
}

# is_made reports whether the cache has what is asked for.
is_made() { [[ -d $guest && -d $full ]] && [[ -z $with_science || -d $science ]]; }

# make_guest builds what is missing.
make_guest() {
  lock_cache
  ! is_made || return 0
  ensure_tools
  # Each step runs in its own process group, so that it can be ended with its children.
  set -m
  trap stop_steps EXIT
  trap 'exit 130' INT TERM
  local names
  mapfile -t names < <(package_names && { [[ -z $with_science ]] || science_packages; })
  step_total=$(($(count_packages "${names[@]}") + 3 + ${with_science:-0}))
  [[ -d $kit ]] || step_total=$((step_total + kit_steps))
  if [[ ! -d $kit ]]; then
    say "building CPython $CPYTHON_VERSION for WASI, once; minutes (logs: $cache/work-$kit_key/logs)"
    work=$cache/work-$kit_key
    mkdir -p "$work"
    build_kit
  fi
  # So that no run of another checkout removes it as an old one.
  touch "$kit"
  work=$cache/work-guest
  rm -rf "$work"
  [[ -e $stdlib ]] || step stdlib "compile and pack the standard library" pack_stdlib
  make_packages "${names[@]}"
  [[ -d $guest ]] || step guest "link the module and pack the library" build_guest
  [[ -d $full ]] || step full "link the module with packages" build_full_guest
  [[ -z $with_science ]] || step science "link the module with scientific packages" build_science_guest
  trap - EXIT INT TERM
  rm -rf "$cache"/work-*
}

# make_profile takes the profile anew.
make_profile() {
  [[ -f $here/dist/library.zip ]] || die "build the guest first: bash python-wasi/build.sh"
  lock_cache
  ensure_tools
  set -m
  trap stop_steps EXIT
  trap 'exit 130' INT TERM
  step_total=$((kit_steps + 1))
  work=$cache/work-profile kit=$cache/work-profile/instrumented
  profile_flags() { printf -- -fprofile-generate; }
  build_core_objects() { :; }
  merge_core() { :; }
  [[ -d $kit ]] || build_kit
  step profile "train the instrumented CPython" take_profile
  trap - EXIT INT TERM
  rm -rf "$work"
}

# make_tests packs CPython's test suite if it is missing.
make_tests() {
  [[ ! -e $tests ]] || return 0
  lock_cache
  [[ ! -e $tests ]] || return 0
  command -v xz >/dev/null || ensure_tools
  say "packing the test suite of CPython $CPYTHON_VERSION"
  work=$cache/work-tests
  pack_tests
}

# forget removes all but the newest of the old results: forget COUNT PATTERN
forget() {
  local old
  # shellcheck disable=SC2012,SC2086 # our own names, and the pattern is one
  { ls -1dt "$cache"/$2 2>/dev/null || true; } | tail -n "+$(($1 + 1))" | while read -r old; do
    rm -rf "$old"
  done
}

# publish copies a guest into a folder. A file that is already right is left alone,
# and a copy gets its name once it is complete.
publish() {
  local file
  mkdir -p "$2"
  for file in python.wasm library.zip versions.json; do
    cmp -s "$1/$file" "$2/$file" && continue
    cp "$1/$file" "$2/.$file.$$"
    mv "$2/.$file.$$" "$2/$file"
  done
}

with_science=
case ${1-} in
'') ;;
--science) with_science=1 ;;
--key)
  printf '%s\n' "$guest_key" "$full_key" "$science_key"
  exit
  ;;
--profile)
  make_profile
  exit
  ;;
--tests)
  make_tests >&2
  touch "$tests"
  forget 2 'tests-*.tar.gz'
  printf '%s\n' "$tests"
  exit
  ;;
*)
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
  ;;
esac

is_made || make_guest
# So that what is in use never counts as old.
touch "$guest" "$full"
touch -c "$kit" "$stdlib"
publish "$guest" "$here/dist"
publish "$full" "$here/dist/full"
if [[ -d $science ]]; then
  touch "$science"
  publish "$science" "$here/dist/science"
elif [[ -d $here/dist/science ]]; then
  rm -r "$here/dist/science"
  say "removed python-wasi/dist/science: it was made from other sources; build it again: bash python-wasi/build.sh --science"
fi
forget 2 'kit-*'
forget 2 'stdlib-*.zip'
forget 5 'guest-*'
forget 5 'full-*'
forget 3 'science-*'
for name in $(package_names) $(science_packages); do
  forget 2 "package-$name-????????????????"
  forget 2 "rust-$name-????????????????.a"
done
say "ready: CPython $CPYTHON_VERSION, keys $guest_key and $full_key, in python-wasi/dist/ ($SECONDS s)"

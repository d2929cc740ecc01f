# Shared by all parts of the recipe: messages, steps, downloads, keys. Sourced.
# shellcheck shell=bash

step_number=0
step_total=0
declare -A step_pid step_start step_title

say() { printf 'guest: %s\n' "$*"; }

# die MESSAGE HINT...: what went wrong, and what to do about it.
die() {
  printf 'guest: error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf 'guest:   %s\n' "$@" >&2
  exit 1
}

# start NAME TITLE COMMAND...: begin a step in the background, its output in a
# file. A step with a stamp is already done.
#
# The command runs in a background shell because `set -e` has no effect in a
# function called as part of a condition, but a step must end at its first error.
start() {
  local name=$1 title=$2
  shift 2
  step_number=$((step_number + 1))
  step_title[$name]="[$step_number/$step_total] $title"
  step_start[$name]=$SECONDS
  step_pid[$name]=
  [[ ! -e $work/stamps/$name ]] || return 0
  mkdir -p "$work/stamps" "$work/logs"
  "$@" >"$work/logs/$name.log" 2>&1 </dev/null &
  step_pid[$name]=$!
  say "${step_title[$name]} ..."
}

# finish NAME: wait for a started step.
finish() {
  local name=$1
  if [[ -z ${step_pid[$name]} ]]; then
    say "${step_title[$name]}: kept from an earlier run"
    return
  fi
  if ! wait "${step_pid[$name]}"; then
    unset "step_pid[$name]"
    printf '\n' >&2
    tail -n 40 "$work/logs/$name.log" >&2
    die "${step_title[$name]} failed; above is the end of its log" \
      "whole log: $work/logs/$name.log" \
      "run the recipe again to go on from here; remove $work to start afresh"
  fi
  step_pid[$name]=
  touch "$work/stamps/$name"
  say "${step_title[$name]}: done in $((SECONDS - step_start[$name])) s (${SECONDS} s in all)"
}

# step NAME TITLE COMMAND...: start and finish.
step() {
  start "$@"
  finish "$1"
}

# stop_steps ends what still runs. Each step has its own process group (set -m), so
# its compilers end with it.
stop_steps() {
  local pid
  for pid in "${step_pid[@]}"; do
    [[ -z $pid ]] || kill -- "-$pid" 2>/dev/null || true
  done
}

# hash_files ROOT FILE...: a hash over relative names and contents.
hash_files() {
  local root=$1
  shift
  (cd "$root" && sha256sum -- "$@") | sha256sum | cut -c1-16
}

# hash_script FILE...: a hash that ignores comments and empty lines: a better
# explanation must not cost minutes.
hash_script() {
  grep -Ehv '^[[:space:]]*(#[^!]|#$|$)' "$@" | sha256sum | cut -c1-16
}

# debian_mirror prints the address of the machine's own Debian mirror.
debian_mirror() {
  if [[ -n ${VIVARIUM_MIRROR:-} ]]; then
    printf '%s/\n' "${VIVARIUM_MIRROR%/}"
    return
  fi
  # shellcheck disable=SC2016 # the names belong to apt
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' 2>/dev/null |
    awk 'NF == 3 && $1 ~ /^http/ && $2 == "Debian" && $3 == "Debian" && !seen++ { print $1 }'
}

# fetch FILE SHA256 URL...: get a file into the download folder, from the first URL
# that yields exactly these bytes. A file that is already there, even one put there
# by hand, is used if its checksum is right.
fetch() {
  local file=$1 sum=$2 target=$cache/downloads/$1 url
  shift 2
  if [[ -f $target ]] && sha256sum --status --check <<<"$sum  $target"; then
    return
  fi
  mkdir -p "$cache/downloads"
  for url in "$@"; do
    rm -f "$target" "$target.part"*
    # apt's own downloader: it uses the machine's proxy settings for apt.
    if /usr/lib/apt/apt-helper download-file "$url" "$target.part" "SHA256:$sum"; then
      sha256sum --check <<<"$sum  $target.part"
      mv "$target.part" "$target"
      return
    fi
  done
  die "no address gives $file with SHA-256 $sum" "${@/#/tried: }" \
    "is the network there? does another mirror have it (VIVARIUM_MIRROR=URL)?" \
    "a file with that checksum may also be put at $target by hand" \
    "if it is gone for good, raise the version: README.md, \"How to raise a version\""
}

# unpack FILE DIRECTORY: unpack a tarball, without its top folder, into a new folder.
unpack() {
  rm -rf "$2"
  mkdir -p "$2"
  tar -xf "$cache/downloads/$1" -C "$2" --strip-components=1 --no-same-owner
}

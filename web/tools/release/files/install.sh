#!/bin/sh
# Installs Vivarium @VERSION@: sh install.sh [FOLDER]. FOLDER is for the program; ~/.local/bin by default.
set -eu

version=@VERSION@
url=${VIVARIUM_URL:-@URL@}
folder=${1:-${HOME:-}/.local/bin}

die() {
  echo "install.sh: $1" >&2
  exit 1
}

fetch() { # FILE: downloads it to the folder $work
  if command -v curl >/dev/null; then
    curl -fsSL -o "$work/$1" "$url/$1"
  elif command -v wget >/dev/null; then
    wget -q -O "$work/$1" "$url/$1"
  else
    die "needs curl or wget"
  fi || die "$url/$1 can't be downloaded"
}

if command -v sha256sum >/dev/null; then
  sum=sha256sum
elif command -v shasum >/dev/null; then
  sum="shasum -a 256"
else
  die "needs sha256sum or shasum, to check what is downloaded"
fi
[ "$folder" != /.local/bin ] || die "there is no home folder; name a folder: sh install.sh FOLDER"
case $(uname -s) in
  Linux) os=linux ;;
  Darwin) os=darwin ;;
  *) die "there is no Vivarium for $(uname -s), only for Linux and macOS" ;;
esac
case $(uname -m) in
  x86_64 | amd64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) die "there is no Vivarium for $(uname -m), only for x86-64 and ARM with 64 bits" ;;
esac
archive=vivarium_${version}_${os}_$arch.tar.gz

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
fetch SHA256SUMS
fetch "$archive"
want=$(sed -n "s/^\([0-9a-f]*\)  $archive\$/\1/p" "$work/SHA256SUMS")
[ -n "$want" ] || die "$url/SHA256SUMS does not list $archive"
[ "$($sum "$work/$archive" | cut -d ' ' -f 1)" = "$want" ] || die "$archive is not what SHA256SUMS says; it was damaged or replaced"
tar -xzf "$work/$archive" -C "$work" vivarium

mkdir -p "$folder"
# A program that runs is replaced, not overwritten.
cp "$work/vivarium" "$folder/.vivarium.new"
chmod 755 "$folder/.vivarium.new"
mv -f "$folder/.vivarium.new" "$folder/vivarium"
echo "installed $folder/vivarium, version $version"
case :$PATH: in
  *":$folder:"*) echo "try: vivarium --help" ;;
  *) echo "$folder is not on your PATH; try: $folder/vivarium --help" ;;
esac

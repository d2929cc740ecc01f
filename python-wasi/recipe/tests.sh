# CPython's own test suite, for package cpython next to this folder: Lib/test of
# the tarball that the guest is made from. Not part of the guest. Sourced.
# shellcheck shell=bash

# pack_tests creates the archive: equal input yields equal bytes, as for the guest.
pack_tests() {
  local mirror
  mirror=$(debian_mirror)
  fetch cpython.tar.xz "$CPYTHON_SHA256" ${mirror:+"$mirror$CPYTHON_POOL"} "$CPYTHON_URL"
  rm -rf "$work"
  mkdir -p "$work"
  # The tarball's top folder has the version in its name.
  tar -xf "$cache/downloads/cpython.tar.xz" -C "$work" --strip-components=2 --no-same-owner --wildcards '*/Lib/test'
  tar -c --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    -C "$work" test | gzip -n >"$work/tests.tar.gz"
  mv "$work/tests.tar.gz" "$tests"
  rm -rf "$work"
}

# Takes the profile that CPython is compiled with, profile/cpython.proftext.xz. Sourced.
# shellcheck shell=bash
#
# An instrumented guest counts in the sandbox what it does in profile/training.py:
# which blocks are run, which functions are called through pointers. So the profile
# is of exactly the code that is compiled with it. Counts vary a little from run to
# run, so it is kept instead of being taken by each build.

# The part of LLVM's compiler-rt that writes profiles, as a crate has it for targets
# without an operating system. Debian has it for its own machines only.
MINICOV_CRATE=minicov-0.3.8.crate
MINICOV_SHA256=4869b6a491569605d66d3952bcdf03df789e5b536e5f0cf7758a7f08a55ae24d
MINICOV_URL=https://static.crates.io/crates/minicov/$MINICOV_CRATE

# How long each kind of work is trained, in seconds.
training_time=0.25

take_profile() {
  local out=$work/guest runtime=$work/minicov/c flags source objects=()
  rm -rf "$out"
  mkdir -p "$out"
  fetch "$MINICOV_CRATE" "$MINICOV_SHA256" "$MINICOV_URL"
  unpack "$MINICOV_CRATE" "$work/minicov"
  flags="$(target_flags "$kit/sysroot") -O2 -w -DCOMPILER_RT_HAS_ATOMICS=1 -DVIVARIUM_PACKAGES"
  for source in "$runtime"/InstrProfiling{,Buffer,Internal,Merge,PlatformLinux,Writer,Value,VersionVar}.c "$here/recipe/profile/dump.c"; do
    objects+=("$work/$(basename "$source" .c).o")
    # shellcheck disable=SC2086 # the flags are words
    "clang-$LLVM_MAJOR" $flags "-I$here/embed" -isystem "$kit/include" -c "$source" -o "${objects[-1]}"
  done
  link_module "$out" -DVIVARIUM_PACKAGES "${objects[@]}"
  cp "$here/dist/library.zip" "$out/" # training needs nothing that is newer
  write_versions "$out" python313 profile ''
  # The program, with this guest in it.
  printf '{"Replace": {"%s": "%s", "%s": "%s"}}' "$here/dist/python.wasm" "$out/python.wasm" \
    "$here/dist/versions.json" "$out/versions.json" >"$work/overlay.json"
  (cd "$here" && CGO_ENABLED=0 go build -overlay "$work/overlay.json" -o "$work/vivarium" ..)
  mkdir -p "$work/function"
  cp "$here/recipe/profile/training.py" "$work/function/main.py"
  "$work/vivarium" run "$work/function" --raw -d "$training_time" --timeout 30m --memory 1024 >"$work/profile"
  "$kit/bin/python3" -I -c 'import base64, json, sys; sys.stdout.buffer.write(base64.b64decode(json.load(sys.stdin)))' \
    <"$work/profile" >"$work/cpython.profraw"
  "llvm-profdata-$LLVM_MAJOR" merge --text "$work/cpython.profraw" -o "$work/cpython.proftext"
  xz -9e "$work/cpython.proftext"
  mv "$work/cpython.proftext.xz" "$here/recipe/profile/"
}

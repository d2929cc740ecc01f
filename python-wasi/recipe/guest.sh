# The cheap part: from the kit, the C embedding and the runner to the guest.
# Sourced; every line here is part of the content key of the guest.
# shellcheck shell=bash

# 8 MiB of stack below the data: CPython's own limits end a recursion long before
# that, and an overflow beyond them traps instead of overwriting data.
# Debian's libc.a carries debug information; with it the module takes four times
# as long to load from wazero's cache.
# --fatal-warnings: a call of a function by another signature, of which the linker
# warns, would be a trap.
# --wrap: see embed/timezone.c.
link_flags=(-mexec-model=reactor -Wl,--fatal-warnings -Wl,--wrap=__tm_to_tzname -z stack-size=8388608 -Wl,--stack-first
  -Wl,--initial-memory=20971520 -Wl,--strip-all)
# Functions that embed/files.c replaces.
for wrapped in open openat mkdir mkdirat chdir fstat __wasilibc_nocwd_fstatat __wasilibc_nocwd_faccessat \
  __wasilibc_find_relpath_alloc __wasi_path_open __wasi_path_create_directory; do
  link_flags+=("-Wl,--wrap=$wrapped")
done
# What embed/sockets.c, embed/openssl.c, embed/digests.c and embed/threads.c do.
for wrapped in strerror fcntl SSL_CTX_new RAND_get0_private SHA1_Update SHA256_Update SHA512_Update _PyThreadState_Bind; do
  link_flags+=("-Wl,--wrap=$wrapped")
done
link_libraries=(-lpython3.13 -ltz -lmpdec -lexpat -lHacl_Hash_SHA2 -lz -lbz2 -llzma -lsqlite3
  -lssl -lcrypto -laddress
  -ldl -lwasi-emulated-signal -lwasi-emulated-getpid -lm)

# link_module FOLDER DEFINES FILE...: compile the embedding, link it with more files.
link_module() {
  local out=$1 defines=$2 source objects=() flags
  shift 2
  flags="--target=$WASM_TARGET --sysroot=$kit/sysroot $WASM_FLAGS"
  for source in "$here"/embed/*.c; do
    objects+=("$out/$(basename "$source" .c).o")
    # shellcheck disable=SC2086 # the flags are words
    "clang-$LLVM_MAJOR" $flags -std=c11 -O2 -DNDEBUG -Wall -Wextra -Werror -Wno-unused-parameter \
      -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS $defines \
      -isystem "$kit/include" -c "$source" -o "${objects[-1]}"
  done
  # shellcheck disable=SC2086
  "clang-$LLVM_MAJOR" $flags "${link_flags[@]}" "${objects[@]}" "$@" -L"$kit/archives" \
    "${link_libraries[@]}" -o "$out/python.wasm"
  chmod 644 "$out/python.wasm"
  rm "${objects[@]}"
}

# write_versions FOLDER NAME KEY PACKAGES: PACKAGES are members of a JSON object.
write_versions() {
  local out=$1
  cat >"$out/versions.json" <<JSON
{
  "name": "$2",
  "key": "$3",
  "cpython_key": "$kit_key",
  "abi": $(sed -n 's/^#define VIVARIUM_ABI_VERSION //p' "$here/embed/abi.h"),
  "cpython": "$CPYTHON_VERSION",
  "wasi_libc": "$WASI_LIBC_VERSION",
  "musl": "$MUSL_VERSION",
  "zlib": "$ZLIB_VERSION",
  "bzip2": "$BZIP2_VERSION",
  "xz": "$XZ_VERSION",
  "sqlite": "$SQLITE_VERSION",
  "openssl": "$OPENSSL_VERSION",
  "clang": "$("clang-$LLVM_MAJOR" -dumpversion)",
  "packages": {$4},
  "module_sha256": "$(sha256sum <"$out/python.wasm" | cut -d' ' -f1)",
  "library_sha256": "$(sha256sum <"$out/library.zip" | cut -d' ' -f1)"
}
JSON
}

# pack_stdlib packs the part of the library that does not depend on the runner.
pack_stdlib() {
  mkdir -p "$work"
  "$kit/bin/python3" -I "$here/recipe/library.py" stdlib \
    --source "$kit/lib/python${CPYTHON_VERSION%.*}" --zip "$work/stdlib.zip"
  mv "$work/stdlib.zip" "$stdlib"
}

# build_guest creates the three files in a temporary folder and names the folder
# last, so that a guest in the cache is always complete.
build_guest() {
  local out=$work/guest packages
  rm -rf "$out"
  mkdir -p "$out"
  mapfile -t packages < <(lean_packages)
  link_module "$out" ''
  "$kit/bin/python3" -I "$here/recipe/library.py" runtime \
    --base "$stdlib" --source "$here/runtime" --added "$here/library" --zones "$zones" --zip "$work/bare.zip"
  add_packages "$out/library.zip" "$work/bare.zip" "${packages[@]}"
  write_versions "$out" python313 "$guest_key" "$(describe_packages "${packages[@]}")"
  # A file may have been saved meanwhile; then this does not match its key.
  [[ $(make_guest_key) == "$guest_key" ]] || die "the sources changed during the build; run it again"
  rm -rf "$guest"
  mv "$out" "$guest"
}

# build_full_guest creates the same of the guest that has packages too.
build_full_guest() {
  local out=$work/full names results=() name table=$work/packages.c flags
  rm -rf "$out"
  mkdir -p "$out"
  mapfile -t names < <(package_names)
  for name in "${names[@]}"; do
    results+=("${package_results[$name]}")
  done
  write_package_table "${results[@]}" >"$table"
  flags="--target=$WASM_TARGET --sysroot=$kit/sysroot $WASM_FLAGS"
  # shellcheck disable=SC2086 # the flags are words
  "clang-$LLVM_MAJOR" $flags -std=c11 -O2 -I "$here/embed" -isystem "$kit/include" -DVIVARIUM_PACKAGES \
    -c "$table" -o "$work/packages.o"
  local objects archives added
  mapfile -t objects < <(find "${results[@]/%//objects}" -name '*.o' | sort)
  mapfile -t archives < <(find "${results[@]/%//archives}" -name '*.a' | sort)
  link_module "$out" -DVIVARIUM_PACKAGES "$work/packages.o" "${objects[@]}" "${archives[@]}"
  mapfile -t added < <(comm -23 <(package_names) <(lean_packages))
  add_packages "$out/library.zip" "$guest/library.zip" "${added[@]}"
  write_versions "$out" python313-full "$full_key" "$(describe_packages "${names[@]}")"
  [[ $(make_full_key) == "$full_key" ]] || die "the sources changed during the build; run it again"
  rm -rf "$full"
  mv "$out" "$full"
}

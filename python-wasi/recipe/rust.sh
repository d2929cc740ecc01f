# Packages with Rust code: the tool chain, and from a package's crate to an archive.
# Sourced; every line but comments is part of the content key of the packages that
# name this file in `uses`.
# shellcheck shell=bash
#
# The tool chain is that of Debian 13, whatever the machine has: few machines have the
# standard library for WASI, and other releases of the compiler yield other bytes.
# It runs with its own C library, for Debian 12's is too old. What else its programs
# need (libz3, libxml2, libedit, libcurl ...) is the machine's own: it comes with Clang.
rust_packages="
pool/main/r/rustc/rustc_1.85.1+dfsg1-1+deb13u1_amd64.deb 8dc8db527ef0e4e64c1361281c123c461b768c148d5308f841ef47c7b90b19d4
pool/main/r/rustc/cargo_1.85.1+dfsg1-1+deb13u1_amd64.deb 673120ed6dff1aa3626199d3768bdddabe3124da90459f4b65da2ff5d66de234
pool/main/r/rustc/libstd-rust-1.85_1.85.1+dfsg1-1+deb13u1_amd64.deb 880a7ccc84ac9ed5964379ff2f2c2de2763dc87cb2c812963cefb44008306587
pool/main/r/rustc/libstd-rust-dev_1.85.1+dfsg1-1+deb13u1_amd64.deb f10847d21f156e700c16fede486e404d078183197187406b4b512ccc92468adb
pool/main/r/rustc/libstd-rust-dev-wasm32_1.85.1+dfsg1-1+deb13u1_all.deb e8848b038d5760d59a8cb5ad8427d2e4617a97d2b7963926cb5cba4b8d1db70b
pool/main/l/llvm-toolchain-19/libllvm19_19.1.7-3+b1_amd64.deb db0d614d61345ca710fb73e75105f1ec6e38898fa7b3aa99fa7eb7d8b0a11d57
pool/main/g/glibc/libc6_2.41-12+deb13u5_amd64.deb b59b0625cd1a791375d40dab23a4d5d3d0641e3d0a773501becdc3725b7f99cf
pool/main/g/gcc-14/libgcc-s1_14.2.0-19_amd64.deb 3c71917b490d1a17aed43196a2787a256ecf060526cdb20216a74bedc061b150
pool/main/g/gcc-14/libstdc++6_14.2.0-19_amd64.deb ab1fa05837aa7a92aae748fd07a18a35f7d18bb4a71c4724fe2bbf0e32089de0
pool/main/libg/libgit2/libgit2-1.9_1.9.0+ds-2+deb13u1_amd64.deb 2fb4b6503fb8f143a8035077b9de99118326ac2b26565779e71c4648e01e75ee
pool/main/h/http-parser/libhttp-parser2.9_2.9.4-6+b2_amd64.deb eb226fd47bec216a02ca6282ab348a3515d1832c58edf1d71b2b5e7948ef3d03
pool/main/m/mbedtls/libmbedcrypto16_3.6.6-0.1~deb13u1_amd64.deb b38baf2ecaca7b28b3005d34b8108ee9b17681426b20662813995e939aea6dfa
pool/main/m/mbedtls/libmbedtls21_3.6.6-0.1~deb13u1_amd64.deb 9e280505afa5f5aa7034e494e7466c82d8e9af2eb3bf2edf46bab0bd7b62e1ac
pool/main/m/mbedtls/libmbedx509-7_3.6.6-0.1~deb13u1_amd64.deb e0b6630efcf9eae2e05172496576bc3235be134a6bbf8da4cf3570fba65f65b8
"
RUST_TARGET=wasm32-wasip1
RUST_LIBRARIES="libcurl4 libssh2-1 libsqlite3-0 libssl3 ca-certificates"

# ensure_rust unpacks the tool chain, once for all packages of a run.
ensure_rust() (
  flock 8
  [[ ! -d $rust ]] || exit 0
  [[ $(uname -m) = x86_64 ]] || die "packages in Rust can be built on x86_64 only"
  local path sum file mirror new=$rust.new
  mirror=$(debian_mirror)
  rm -rf "$new"
  mkdir -p "$new/bin"
  while read -r path sum; do
    [[ -n $path ]] || continue
    file=${path##*/}
    fetch "$file" "$sum" "$mirror$path"
    dpkg-deb --fsys-tarfile "$cache/downloads/$file" |
      tar -x -C "$new" --no-same-owner --exclude='*/wasm32-unknown-unknown/*' --exclude='*/wasm32-wasip2/*' \
        --exclude='./usr/share/*'
  done <<<"$rust_packages"
  write_rust_program cargo ''
  # Not in RUSTFLAGS, which cargo hashes into the names of symbols.
  write_rust_program rustc "--remap-path-prefix=$cache=/build"
  mv "$new" "$rust"
  "$rust/bin/cargo" -V && "$rust/bin/rustc" -V || {
    ((EUID == 0)) || die "cargo lacks a library" "install them: sudo apt-get install $RUST_LIBRARIES"
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --no-install-recommends -y $RUST_LIBRARIES
    "$rust/bin/cargo" -V
  }
) 8>"$cache/work-rust.lock"

# write_rust_program NAME ARGUMENTS
write_rust_program() {
  local lib=$rust/usr/lib/x86_64-linux-gnu
  cat >"$rust.new/bin/$1" <<SCRIPT
#!/bin/sh
exec $lib/ld-linux-x86-64.so.2 --library-path $lib $rust/usr/bin/$1 "\$@" $2
SCRIPT
  chmod +x "$rust.new/bin/$1"
}

# rust_environment RUSTFLAG...: set what cargo is to see, and nothing else.
rust_environment() {
  local name python=python${CPYTHON_VERSION%.*} machine_home=${CARGO_HOME:-$HOME/.cargo}
  local target="--target=$WASM_TARGET --sysroot=$kit/sysroot $WASM_FLAGS"
  for name in $(compgen -e | grep -E '^(CARGO|RUST|PYO3|OPENSSL)'); do
    unset "$name"
  done
  export CARGO_HOME=$cache/downloads/cargo CARGO_BUILD_JOBS=$jobs CARGO_TERM_COLOR=never RUSTC=$rust/bin/rustc
  mkdir -p "$CARGO_HOME"
  # The machine's own registry, if it names one.
  [[ ! -f $machine_home/config.toml ]] || cp "$machine_home/config.toml" "$CARGO_HOME/"
  export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=clang-$LLVM_MAJOR
  # A panic ends the instance: unwinding would need instructions that wazero does not
  # have on by default.
  export CARGO_PROFILE_RELEASE_PANIC=abort CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-C llvm-args=-wasm-enable-eh=false \
-C target-feature=+bulk-memory,+nontrapping-fptoint $*"
  # Smaller code is compiled sooner: here by LLVM, and by the host at first use.
  export CARGO_PROFILE_RELEASE_OPT_LEVEL=s
  # All of a package as one object, of which only the init function can be seen: two
  # packages have the same crates in them.
  export CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 CARGO_PROFILE_RELEASE_DEBUG=false
  # The Python that PyO3 compiles for, in the layout of an installation.
  mkdir -p "$work/cross/lib/$python" "$work/cross/include"
  cp "$kit/lib/$python"/_sysconfigdata__wasi_wasm32-wasi.py "$work/cross/lib/$python/"
  "llvm-ar-$LLVM_MAJOR" rcs "$work/cross/lib/$python/lib$python.a"
  ln -sfn "$kit/include" "$work/cross/include/$python"
  export PYO3_CROSS_LIB_DIR=$work/cross/lib/$python PYO3_CROSS_PYTHON_VERSION=${CPYTHON_VERSION%.*}
  # For crates with C in them.
  export CC_wasm32_wasip1=clang-$LLVM_MAJOR AR_wasm32_wasip1=llvm-ar-$LLVM_MAJOR CFLAGS_wasm32_wasip1="$target ${CFLAGS_wasm32_wasip1-}"
  # Linked later: an archive in an archive would be linked twice.
  export OPENSSL_INCLUDE_DIR=$kit/include OPENSSL_LIB_DIR=$kit/archives OPENSSL_STATIC=0
}

# rust_module MODULE INIT [seeds=CRATE] [keys=CRATE] [CARGO_ARGUMENT...]: compile the
# crate in this folder, which has the module, at the versions of its Cargo.lock.
#
# Crates get randomness from the crate getrandom. `seeds` names the one that uses it, for
# nothing but hash tables: the clones of an image may share what it gets. `keys` names those
# that need it fresh: each draw is then the host's.
rust_module() {
  local module=$1 init=$2 seeds='' keys='' rust=$cache/work-rust flags=() archive
  shift 2
  while [[ ${1-} = seeds=* || ${1-} = keys=* ]]; do
    local "$1"
    shift
  done
  [[ -z $seeds || -z $keys ]] || die "package $name: one getrandom can't serve both seeds and keys"
  [[ -z $seeds ]] || flags+=(--cfg 'getrandom_backend="custom"')
  archive=$cache/rust-$name-$(rust_key).a
  if [[ ! -f $archive ]]; then
    ensure_rust
    rust_environment "${flags[@]}"
    # Offline if everything is in the cache.
    "$rust/bin/cargo" fetch --locked --offline || "$rust/bin/cargo" fetch --locked
    check_crates "$seeds$keys"
    "$rust/bin/cargo" rustc --offline --locked --release --lib --crate-type staticlib \
      --target "$RUST_TARGET" --target-dir "$work/target" "$@"
    check_archive "$work/target/$RUST_TARGET/release"/lib*.a "$keys"
    cp "$work/target/$RUST_TARGET/release"/lib*.a "$archive.new"
    rename_symbols "$archive.new"
    mv "$archive.new" "$archive"
  fi
  touch "$archive"
  mkdir -p "$out/archives"
  cp "$archive" "$out/archives/lib$name.a"
  printf '%s %s\n' "$module" "$init" >>"$out/modules"
}

# rust_key: archives have a key of their own, so that a change to the recipe of all
# packages does not cost minutes.
rust_key() {
  printf '%s\n' "$kit_key" "$(hash_script "$here/recipe/rust.sh" "$here/packages/$name.sh")" "$seeds" "$keys" |
    sha256sum | cut -c1-16
}

# check_crates USERS: no other crate gets randomness, and none makes its own of it: a
# generator's state would be the same in all clones of an image.
check_crates() {
  local found
  found=$("$rust/bin/cargo" tree --offline --locked -e normal --target "$RUST_TARGET" --prefix depth --format ' {p}' |
    awk '{ above[$1] = $2 }
      $2 == "getrandom" { print above[$1 - 1] }
      $2 ~ /^(rand|rand_core|fastrand|nanorand|oorandom|const-random)$/ { print "generator:" $2 }' | sort -u | paste -sd,)
  [[ $found = "$1" ]] || die "package $name: randomness is used by '$found', not by '$1'" \
    "see what for, and change seeds= and keys= in packages/$name.sh"
}

# check_archive ARCHIVE KEYS: what imports randomness is std, whose calls embed/rust.c
# takes for seeds of hash tables, and getrandom where it gives keys.
check_archive() {
  local symbol known
  known=$(tr -d '\n" ' <"$here/embed/rust.c" | grep -oE '_ZN4wasi[A-Za-z0-9_]*random_get17h[0-9a-f]{16}E')
  for symbol in $("llvm-nm-$LLVM_MAJOR" --undefined-only --just-symbol-name "$1" 2>/dev/null |
    grep -E 'random_get|getentropy|getrandom' | sort -u); do
    case $symbol in
    "$known" | __getrandom_v03_custom) ;;
    *9getrandom*) [[ -n $2 ]] || die "package $name: getrandom draws from the host, and keys= does not say so" ;;
    *) die "package $name: it imports randomness as $symbol" "see what for, and compare with embed/rust.c" ;;
    esac
  done
}

# rename_symbols ARCHIVE: the standard library has a few symbols that stay global
# in spite of LTO, and would be there once for each package. llvm-objcopy knows no
# symbols of WebAssembly; names of the same length can be replaced in place.
rename_symbols() {
  local symbol mark
  mark=$(sha256sum <<<"$name" | cut -c1-8)
  for symbol in $("llvm-nm-$LLVM_MAJOR" --defined-only --extern-only "$1" 2>/dev/null |
    awk '/:$/ { ours = /rcgu\.o:$/ && !/^compiler_builtins/ } ours && NF == 3 && $2 ~ /[TD]/ && $3 ~ /^(_ZN|rust_)/ { print $3 }'); do
    perl -pi -e "s/\\Q$symbol\\E/${symbol%????????}$mark/g" "$1"
  done
  # See embed/rust.c.
  perl -pi -e 's/PyEval_(Save|Restore)Thread/RsEval_$1Thread/g' "$1"
}

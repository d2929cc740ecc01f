# The expensive part: from tarballs to the kit that a guest is linked from.
# Sourced; every line but comments is part of the content key of the CPython build.
# shellcheck shell=bash
#
# Everything happens in $work. The kit is what is kept of it:
#   bin/python3         the same CPython for this machine, to compile bytecode
#   lib/python3.13/     the standard library, for it and for the guest
#   include/            headers, pyconfig.h of the guest
#   archives/           libpython3.13.a and what it needs
#   sysroot/            the C library

# target_flags SYSROOT: the compiler's options for the guest's code.
target_flags() {
  printf -- '--target=%s --sysroot=%s %s' "$WASM_TARGET" "$1" "$WASM_FLAGS"
}

# Paths of this machine must not end up in the artifact.
hide_paths() { printf -- '-ffile-prefix-map=%s=/build' "$work"; }

get_sources() {
  local mirror
  mirror=$(debian_mirror)
  [[ -n $mirror ]] || die "apt knows no Debian mirror on this machine" \
    "name one: VIVARIUM_MIRROR=URL bash python-wasi/build.sh"
  fetch cpython.tar.xz "$CPYTHON_SHA256" "$mirror$CPYTHON_POOL" "$CPYTHON_URL"
  fetch zlib.tar.gz "$ZLIB_SHA256" "$mirror$ZLIB_POOL"
  fetch bzip2.tar.gz "$BZIP2_SHA256" "$mirror$BZIP2_POOL"
  fetch xz.tar.xz "$XZ_SHA256" "$mirror$XZ_POOL"
  fetch sqlite.tar.xz "$SQLITE_SHA256" "$mirror$SQLITE_POOL"
  fetch wasi-libc.deb "$WASI_LIBC_SHA256" "$mirror$WASI_LIBC_POOL"
  fetch musl.tar.gz "$MUSL_SHA256" "$mirror$MUSL_POOL"
  fetch openssl.tar.gz "$OPENSSL_SHA256" "$mirror$OPENSSL_POOL"
  unpack cpython.tar.xz "$work/cpython"
  unpack zlib.tar.gz "$work/zlib"
  unpack bzip2.tar.gz "$work/bzip2"
  unpack xz.tar.xz "$work/xz"
  unpack sqlite.tar.xz "$work/sqlite"
  unpack musl.tar.gz "$work/musl"
  unpack openssl.tar.gz "$work/openssl"
  make_sysroot
  mkdir -p "$work/prefix/lib" "$work/prefix/include"
}

make_sysroot() {
  local deb=$work/wasi-libc sysroot=$work/sysroot part
  rm -rf "$deb" "$sysroot"
  dpkg-deb -x "$cache/downloads/wasi-libc.deb" "$deb"
  for part in include lib; do
    mkdir -p "$sysroot/$part"
    cp -a "$deb/usr/$part/wasm32-wasi" "$sysroot/$part/"
    # Debian knows the target only by its old name.
    ln -s wasm32-wasi "$sysroot/$part/$WASM_TARGET"
  done
  # What build_timezones adds.
  sed -i '/WASI has no timezone tables/{N;/tzset/s/.*\n/#if 1\n/}' "$sysroot/include/wasm32-wasi/time.h"
  grep -A1 '^#if 1$' "$sysroot/include/wasm32-wasi/time.h" | grep -qw tzset
  add_network_headers "$sysroot"
  mkdir -p "$sysroot/share"
  cp "$deb/usr/share/doc/wasi-libc/copyright" "$sysroot/share/"
}

# build_native builds the interpreter that runs on this machine: the cross build
# freezes modules with it, and it byte-compiles the library. It need not be fast;
# -O1 builds soonest. The three extra modules are for zipfile.
build_native() {
  local dir=$work/native zlib=$work/native/zlib
  rm -rf "$dir"
  mkdir -p "$dir/Modules" "$zlib"
  cp "$work"/zlib/*.[ch] "$zlib/"
  cd "$zlib"
  rm gz*.c
  "clang-$LLVM_MAJOR" -O1 -DHAVE_UNISTD_H -c ./*.c
  "llvm-ar-$LLVM_MAJOR" rcs libz.a ./*.o
  cat >"$dir/Modules/Setup.local" <<SETUP
*static*
_struct _struct.c
binascii binascii.c
zlib zlibmodule.c -I$zlib $zlib/libz.a
SETUP
  cd "$dir"
  ../cpython/configure -C --disable-test-modules --without-ensurepip \
    CC="clang-$LLVM_MAJOR" CXX="clang++-$LLVM_MAJOR" OPT="-DNDEBUG -O1" PKG_CONFIG=false
  make -j"$jobs" python
  ./python -c 'import zipfile, zlib'
}

build_zlib_bzip2() {
  local cc flags
  flags="$(target_flags "$work/sysroot") $(hide_paths) $LIBRARY_OPT -DHAVE_UNISTD_H -D_FILE_OFFSET_BITS=64"
  cc="clang-$LLVM_MAJOR $flags"
  cd "$work/zlib"
  # Not gz*.c: Python handles gzip files itself.
  $cc -c adler32.c compress.c crc32.c deflate.c inf*.c trees.c uncompr.c zutil.c
  "llvm-ar-$LLVM_MAJOR" rcs "$work/prefix/lib/libz.a" ./*.o
  cp zlib.h zconf.h "$work/prefix/include/"
  cd "$work/bzip2"
  $cc -c blocksort.c huffman.c crctable.c randtable.c compress.c decompress.c bzlib.c
  "llvm-ar-$LLVM_MAJOR" rcs "$work/prefix/lib/libbz2.a" ./*.o
  cp bzlib.h "$work/prefix/include/"
}

build_xz() {
  cd "$work/xz"
  ./configure --host=wasm32-wasip1 --prefix="$work/prefix" --disable-shared --disable-nls \
    --disable-threads --disable-sandbox --disable-assembler --disable-scripts --disable-doc \
    --disable-xz --disable-xzdec --disable-lzmadec --disable-lzmainfo --disable-lzma-links \
    CC="clang-$LLVM_MAJOR $(target_flags "$work/sysroot") $(hide_paths)" CFLAGS="$LIBRARY_OPT" \
    AR="llvm-ar-$LLVM_MAJOR" RANLIB="llvm-ranlib-$LLVM_MAJOR" NM="llvm-nm-$LLVM_MAJOR"
  make -j"$jobs" -C src/liblzma install
}

# build_timezones builds the replacement for the C library's __tz.o, which knows
# only UTC. The internal headers of musl that the file includes are about locks and
# privileges; __map_file and __munmap are the embedding's.
build_timezones() {
  local dir=$work/timezones
  rm -rf "$dir"
  mkdir -p "$dir/include"
  cd "$dir"
  : >include/fork_impl.h
  printf '#define LOCK(lock)\n#define UNLOCK(lock)\n' >include/lock.h
  cat >include/libc.h <<'HEADER'
#pragma once
#include <stddef.h>
#define hidden
#define weak_alias(old, new) extern __typeof(old) new __attribute__((weak, alias(#old)))
#define __libc_malloc malloc
static const struct { char secure; } libc;
const unsigned char *__map_file(const char *, size_t *);
int __munmap(void *, size_t);
HEADER
  local flags
  flags="$(target_flags "$work/sysroot") $(hide_paths) $LIBRARY_OPT -D_XOPEN_SOURCE=700 -D_WASI_EMULATED_MMAN"
  # shellcheck disable=SC2086 # the flags are words
  "clang-$LLVM_MAJOR" $flags -Iinclude -include libc.h -c "$work/musl/src/time/__tz.c" -o tz.o
  "llvm-ar-$LLVM_MAJOR" rcs "$work/prefix/lib/libtz.a" tz.o
}

build_sqlite() {
  local dir=$work/sqlite-build
  rm -rf "$dir"
  mkdir "$dir"
  cd "$dir"
  # SQLite's amalgamation is generated on this machine, with native tools.
  ../sqlite/configure --disable-tcl --disable-readline --disable-load-extension CC="clang-$LLVM_MAJOR"
  make sqlite3.c
  local flags
  flags="$(target_flags "$work/sysroot") $(hide_paths) $LIBRARY_OPT -D_WASI_EMULATED_GETPID $SQLITE_OPTIONS"
  # shellcheck disable=SC2086 # the flags are words
  "clang-$LLVM_MAJOR" $flags -c sqlite3.c
  "llvm-ar-$LLVM_MAJOR" rcs "$work/prefix/lib/libsqlite3.a" sqlite3.o
  cp sqlite3.h sqlite3ext.h "$work/prefix/include/"
}

# write_build_python writes a stand-in for the cross build's build python. configure
# only asks it for its version, which is known in advance, so configure need not
# wait for the native build.
write_build_python() {
  cat >"$work/build-python" <<SCRIPT
#!/bin/sh
if [ ! -x $work/native/python ]; then
  case "\$*" in
  -c*version_info.major*) echo ${CPYTHON_VERSION%.*}; exit ;;
  esac
fi
exec $work/native/python "\$@"
SCRIPT
  chmod +x "$work/build-python"
}

# configure_cross: clock_nanosleep is left out because wazero's poll_oneoff knows
# no absolute times, and time.sleep would fail (OSError 58); CPython asks for it
# in two ways. pymalloc is off by default on WASI, and worth 2 %; mimalloc is for
# CPython without the global lock, and here 0.3 MB that nothing calls. That
# tzset works is what configure can only see by running something, and the
# embedding's functions, threads (embed/threads.c) among them, and OpenSSL by linking.
# IPv6 it takes for impossible.
configure_cross() {
  local dir=$work/cross target prefix=$work/prefix
  target="$(target_flags "$work/sysroot") $(hide_paths)"
  rm -rf "$dir"
  mkdir "$dir"
  write_build_python
  cd "$dir"
  CONFIG_SITE=../cpython/Tools/wasm/config.site-wasm32-wasi ../cpython/configure -C \
    --host="$WASM_TARGET" --build="$(../cpython/config.guess)" --prefix=/usr \
    --with-build-python="$work/build-python" --disable-test-modules --without-ensurepip \
    --with-pymalloc=yes --without-mimalloc ac_cv_func_clock_nanosleep=no ac_cv_lib_rt_clock_nanosleep=no \
    ac_cv_working_tzset=yes --enable-ipv6 --with-openssl="$prefix" \
    ac_cv_working_openssl_ssl=yes ac_cv_working_openssl_hashlib=yes \
    ac_cv_pthread_is_default=yes ac_cv_func_sem_timedwait=yes \
    ac_cv_func_getaddrinfo=yes ac_cv_func_getnameinfo=yes ac_cv_func_getpeername=yes ac_cv_func_gai_strerror=yes \
    ac_cv_header_sys_un_h=yes CPPFLAGS=-DF_DUPFD_CLOEXEC=1030 \
    CC="clang-$LLVM_MAJOR $target" CPP="clang-$LLVM_MAJOR -E $target" \
    CXX="clang++-$LLVM_MAJOR $target" LD="wasm-ld-$LLVM_MAJOR" READELF=true PKG_CONFIG=false \
    AR="llvm-ar-$LLVM_MAJOR" RANLIB="llvm-ranlib-$LLVM_MAJOR" NM="llvm-nm-$LLVM_MAJOR" \
    OPT="$CPYTHON_OPT" \
    ZLIB_CFLAGS="-I$prefix/include" ZLIB_LIBS="-L$prefix/lib -lz" \
    BZIP2_CFLAGS="-I$prefix/include" BZIP2_LIBS="-L$prefix/lib -lbz2" \
    LIBLZMA_CFLAGS="-I$prefix/include" LIBLZMA_LIBS="-L$prefix/lib -llzma" \
    LIBSQLITE3_CFLAGS="-I$prefix/include" LIBSQLITE3_LIBS="-L$prefix/lib -lsqlite3"
}

# What CPython is compiled with: with instrumentation when a profile is taken.
profile_flags() { printf -- '-fprofile-use=%s' "$work/cpython.profdata"; }

# core_objects prints what is optimised as one unit: the interpreter, its objects, and the modules
# that functions use most. Not pylifecycle.o and _threadmodule.o: the linker replaces a function
# of the core that they call, see --wrap in guest.sh.
core_objects() {
  # shellcheck disable=SC2016 # the names belong to make
  make -s --eval='core: ; @printf "%s\n" $(filter-out Python/frozen.o Python/pylifecycle.o,$(OBJECT_OBJS) $(PYTHON_OBJS))' core
  printf 'Modules/%s.o\n' gcmodule mathmodule itertoolsmodule arraymodule _abc _asynciomodule _bisectmodule _collectionsmodule _csv \
    _datetimemodule _decimal/_decimal _elementtree _functoolsmodule _heapqmodule _io/{_iomodule,bufferedio,bytesio,fileio,iobase,stringio,textio} \
    _json _operator _pickle _randommodule _sre/sre _statisticsmodule _struct _typingmodule _weakref
}

# Loops that copy or fill stay loops: most of the core's are about a call's few arguments
# and locals, for which memory.copy and memory.fill take longer.
keep_loops=(-disable-loop-idiom-memcpy -disable-loop-idiom-memset)

# build_core_objects compiles them to bitcode. The interpreter's loop stays one function: Clang
# would inline all of it into its caller, a second copy.
build_core_objects() {
  local flags
  flags=$(printf -- ' -mllvm %s' -force-attribute=_PyEval_EvalFrameDefault:noinline "${keep_loops[@]}")
  make -j"$jobs" OPT="$CPYTHON_OPT $(profile_flags) -flto$flags" "$@"
}

# merge_core LIBRARY OBJECT...: replace the objects by one in which what is called often is inlined across
# files. That pays because each function checks the bounds of each object that it
# gets. Only what the profile calls hot is inlined: without these limits the machine code
# becomes a third larger, and no faster. Every name stays, for packages that use CPython's
# internals. The linker's own link-time optimisation would do all of this again for
# each guest.
merge_core() {
  local library=$1
  shift
  "llvm-link-$LLVM_MAJOR" "$@" -o core.bc
  # shellcheck disable=SC2046 # names are words
  "llvm-ar-$LLVM_MAJOR" d "$library" $(basename -a "$@")
  "opt-$LLVM_MAJOR" -passes='lto<O3>' "${keep_loops[@]}" -inline-enable-cost-benefit-analysis=false -inline-threshold=5 -inlinehint-threshold=20 -hot-callsite-threshold=1000 \
    core.bc -o core.opt.bc
  # shellcheck disable=SC2046 # the flags are words
  "clang-$LLVM_MAJOR" $(target_flags "$work/sysroot") $(hide_paths) -O3 -Xclang -disable-llvm-passes -c core.opt.bc -o core.o
  "llvm-ar-$LLVM_MAJOR" rcs "$library" core.o
}

# build_cross builds what a guest is linked from. CPython's own program is not built:
# it would need the embedding's functions.
build_cross() {
  local library=libpython${CPYTHON_VERSION%.*}.a core
  xz -dc "$here/recipe/profile/cpython.proftext.xz" >"$work/cpython.proftext"
  "llvm-profdata-$LLVM_MAJOR" merge "$work/cpython.proftext" -o "$work/cpython.profdata"
  cd "$work/cross"
  mapfile -t core < <(core_objects)
  build_core_objects "${core[@]}"
  make -j"$jobs" OPT="$CPYTHON_OPT $(profile_flags)" "$library" pybuilddir.txt Modules/_decimal/libmpdec/libmpdec.a \
    Modules/expat/libexpat.a Modules/_hacl/libHacl_Hash_SHA2.a
  # configure silently leaves out a module whose library does not suit it.
  local module
  for module in _bz2 _decimal _elementtree _hashlib _lzma _socket _sqlite3 _ssl select zlib; do
    grep -qw "PyInit_$module" Modules/config.c || die "module $module is not in libpython"
  done
  merge_core "$library" "${core[@]}"
}

# collect_kit keeps what a guest is linked from, and names it last, so that a kit in
# the cache is always complete.
collect_kit() {
  local new=$work/kit sysconfigdata=_sysconfigdata__wasi_wasm32-wasi.py
  local lib=$new/lib/python${CPYTHON_VERSION%.*}
  rm -rf "$new"
  mkdir -p "$new/bin" "$new/archives" "$lib/lib-dynload"
  cp "$work/native/python" "$new/bin/python3"
  cp -r "$work/cpython/Include" "$new/include"
  cp "$work/cross/pyconfig.h" "$work/prefix/include/sqlite3.h" "$new/include/"
  cp -r "$work/prefix/include/openssl" "$new/include/"
  cp "$work/cross/libpython${CPYTHON_VERSION%.*}.a" "$work"/prefix/lib/*.a \
    "$work/cross/Modules/_decimal/libmpdec/libmpdec.a" "$work/cross/Modules/expat/libexpat.a" \
    "$work/cross/Modules/_hacl/libHacl_Hash_SHA2.a" "$new/archives/"
  cp -a "$work/sysroot" "$new/sysroot"
  tar -c -C "$work/cpython/Lib" --exclude=./test --exclude=__pycache__ . | tar -x -C "$lib"
  sed "s|$work|/build|g" "$work/cross/$(cat "$work/cross/pybuilddir.txt")/$sysconfigdata" \
    >"$lib/$sysconfigdata"
  "$new/bin/python3" -I -c 'import zipfile, zlib, py_compile'
  rm -rf "$kit"
  mv "$new" "$kit"
}

# How many steps build_kit has.
kit_steps=11

build_kit() {
  step sources "get and unpack the sources" get_sources
  start openssl "build OpenSSL for WebAssembly" build_openssl
  start native "build CPython for this machine" build_native
  start sqlite "build SQLite for WebAssembly" build_sqlite
  start zlib "build zlib and bzip2 for WebAssembly" build_zlib_bzip2
  start timezones "build time zones for WebAssembly" build_timezones
  start addresses "build names and addresses for WebAssembly" build_addresses
  start xz "build liblzma for WebAssembly" build_xz
  finish zlib
  finish timezones
  finish xz
  finish sqlite
  finish addresses
  finish openssl
  step configure "configure CPython for WebAssembly" configure_cross
  finish native
  step cross "build CPython for WebAssembly" build_cross
  step kit "keep what guests are linked from" collect_kit
}

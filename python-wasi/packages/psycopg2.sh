# psycopg2: PostgreSQL, by libpq, with TLS and SCRAM by the guest's OpenSSL.
version=2.9.13
licence="LGPL-3.0-or-later WITH openssl-exception AND PostgreSQL"
sources="
  pypi psycopg2-2.9.13.tar.gz d36784fc2dae69523ba4b79c7d1d1b4d6e83e87836874f111262f4db940b16a6
  debian pool/main/p/postgresql-17/postgresql-17_17.11.orig.tar.bz2 dd27f2b3c59e73ed14aa3324901242bf69a032a6347805f274e6260322d42979 https://ftp.postgresql.org/pub/source/v17.11/postgresql-17.11.tar.bz2"

# configure_libpq: configure asks for tools that only the server needs. With undefined
# functions as imports all tests of functions succeed; guest.h has those that are
# missing.
configure_libpq() {
  local tool
  for tool in "bison (GNU Bison) 3.8.2" "flex 2.6.4"; do
    printf '#!/bin/sh\necho "%s"\n' "$tool" >"$work/${tool%% *}"
    chmod +x "$work/${tool%% *}"
  done
  BISON=$work/bison FLEX=$work/flex PKG_CONFIG=false AR="llvm-ar-$LLVM_MAJOR" RANLIB="llvm-ranlib-$LLVM_MAJOR" \
    CC="clang-$LLVM_MAJOR $(target_flags "$kit/sysroot") -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -I$kit/include" \
    CFLAGS=-O2 LDFLAGS="-L$kit/archives -Wl,--import-undefined" \
    ./configure --host=wasm32-unknown-wasip1 --build="$(./config/config.guess)" --with-template=linux \
    --without-readline --without-icu --without-zlib --with-ssl=openssl --disable-spinlocks --disable-atomics --disable-largefile
  local directory
  for directory in BINDIR SHAREDIR SYSCONFDIR INCLUDEDIR PKGINCLUDEDIR INCLUDEDIRSERVER LIBDIR PKGLIBDIR LOCALEDIR \
    DOCDIR HTMLDIR MANDIR; do
    printf '#define PG%s "/usr/lib/postgresql"\n#define %s "/usr/lib/postgresql"\n' "$directory" "$directory"
  done >src/port/pg_config_paths.h
  cat >guest.h <<'HEADER'
// No signals, one user, no peers on this machine.
#pragma once
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#define EHOSTDOWN 112
#define geteuid() 0
#define getpeereid(socket, user, group) (errno = ENOSYS, -1)
#define sigemptyset(set) ((void)(set))
#define sigaddset(set, signal) ((void)(set))
#define sigismember(set, signal) ((void)(set), 0)
#define sigpending(set) ((void)(set), 0)
#define sigwait(set, signal) ((void)(signal), 0)
#define pthread_sigmask(how, set, old) ((void)(set), (void)(old), 0)
#define SIG_BLOCK 0
#define SIG_SETMASK 2
HEADER
  cat >user.c <<'SOURCE'
#include "c.h"
bool pg_get_user_name(uid_t user, char *buffer, size_t size) {
  strlcpy(buffer, "root", size);
  return true;
}
bool pg_get_user_home_dir(uid_t user, char *buffer, size_t size) {
  strlcpy(buffer, "/tmp", size);
  return true;
}
SOURCE
}

build() {
  local libpq=$work/postgresql-17 files
  (
    cd "$libpq"
    configure_libpq
    library pq -include guest.h -D_GNU_SOURCE -D_REENTRANT -DFRONTEND -DUSE_PRIVATE_ENCODING_FUNCS -DSO_MAJOR_VERSION=5 \
      -Isrc/include -Isrc/port -Isrc/interfaces/libpq -- user.c \
      src/interfaces/libpq/{fe-auth-scram,fe-auth,fe-cancel,fe-connect,fe-exec,fe-lobj,fe-misc,fe-protocol3,fe-secure,fe-secure-common,fe-secure-openssl,fe-trace,libpq-events,pqexpbuffer}.c \
      src/common/{base64,cryptohash_openssl,encnames,fe_memutils,hmac_openssl,ip,jsonapi,link-canary,md5_common,pg_prng,protocol_openssl,psprintf,saslprep,scram-common,string,stringinfo,unicode_norm,wchar}.c \
      src/port/{chklocale,explicit_bzero,inet_net_ntop,noblock,path,pg_bitutils,pg_strong_random,pgsleep,pgstrcasecmp,quotes,snprintf,strerror,timingsafe_bcmp}.c
  )
  # The other typecast_*.c are parts of typecast.c.
  files=$(printf '%s\n' psycopg/*.c | grep -v typecast_)
  # shellcheck disable=SC2086 # names are words
  extension psycopg2._psycopg '-DPSYCOPG_VERSION=2.9.13 (dt dec pq3 ext)' -DPG_VERSION_NUM=170011 -DHAVE_PQFREEMEM=1 -I. \
    "-I$libpq/src/interfaces/libpq" "-I$libpq/src/include" -- $files
  cp -r lib psycopg2
  python_files psycopg2
}

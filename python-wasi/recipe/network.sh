# What CPython's socket and ssl build on: the C library's part of networking, which
# wasi-libc leaves out, and OpenSSL. Sourced; every line but comments is part of the
# content key of the CPython build.
# shellcheck shell=bash

# add_network_headers replaces the headers that wasi-libc has cut down by musl's own:
# constants and structures are then Linux's, which the host's half uses. No function
# of the C library uses them: those for addresses come from musl too, and those for
# sockets are the embedding's.
add_network_headers() {
  local include=$1/include/wasm32-wasi header
  for header in netdb.h net/if.h sys/socket.h sys/un.h poll.h netinet/in.h arpa/inet.h; do
    mkdir -p "$(dirname "$include/$header")"
    cp "$work/musl/include/$header" "$include/$header"
  done
}

# The parts of musl that need no network: texts, numbers, and how they become lists.
# __lookup_name and __lookup_serv, which they call, are the embedding's.
address_sources="freeaddrinfo gai_strerror getaddrinfo gethostbyaddr gethostbyaddr_r gethostbyname gethostbyname2
  gethostbyname2_r getservbyname getservbyname_r getservbyport getservbyport_r hstrerror in6addr_any in6addr_loopback
  inet_addr inet_aton inet_ntoa inet_ntop inet_pton lookup_ipliteral proto"

build_addresses() {
  local dir=$work/addresses name flags
  rm -rf "$dir"
  mkdir -p "$dir/include"
  cd "$dir"
  printf '#define LOCK(lock)\n#define UNLOCK(lock)\n' >include/lock.h
  printf '#define LCTRANS_CUR(text) (text)\n' >include/locale_impl.h
  cat >include/musl.h <<'HEADER'
#pragma once
#define hidden
#define weak_alias(old, new) extern __typeof(old) new __attribute__((weak, alias(#old)))
struct in_addr;
int __inet_aton(const char *, struct in_addr *);
HEADER
  # The host decides which families are configured, AI_ADDRCONFIG.
  sed 's/if (flags & AI_ADDRCONFIG)/if (0)/' "$work/musl/src/network/getaddrinfo.c" >getaddrinfo.c
  grep -q 'if (0)' getaddrinfo.c
  flags="$(target_flags "$work/sysroot") $(hide_paths) $LIBRARY_OPT -D_GNU_SOURCE"
  for name in $address_sources; do
    [[ -e $name.c ]] || cp "$work/musl/src/network/$name.c" .
    # shellcheck disable=SC2086 # the flags are words
    "clang-$LLVM_MAJOR" $flags -Iinclude "-I$work/musl/src/network" -include musl.h -w -c "$name.c"
  done
  "llvm-ar-$LLVM_MAJOR" rcs "$work/prefix/lib/libaddress.a" ./*.o
}

# OpenSSL without what a client in a sandbox without loadable code can't use, and
# without ciphers and formats that TLS and X.509 of today don't.
# ec_nistp_64_gcc_128: the curves of most certificates, a signature checked in 1.1 ms
# instead of 13, for 230 KB.
# --with-rand-seed=none: its own generator has nothing to begin from, so what goes
# past the embedding's (openssl.c) fails instead of drawing what clones share.
openssl_options="no-asm no-thread-pool no-default-thread-pool no-dso no-engine no-module no-shared no-tests no-apps no-docs
  no-ui-console no-posix-io no-async no-autoload-config no-secure-memory no-afalgeng no-quic no-dgram no-dtls no-cmp no-cms no-ct no-ts no-srp no-http
  no-ocsp no-rfc3779 no-comp no-legacy no-ssl-trace no-nextprotoneg no-srtp no-ec2m no-gost no-aria no-bf no-camellia no-cast
  no-dsa no-idea no-md4 no-mdc2 no-ml-dsa no-rc2 no-rc4 no-rmd160 no-seed no-siphash no-slh-dsa no-sm2 no-sm3 no-sm4 no-siv
  no-whirlpool enable-ec_nistp_64_gcc_128 --with-rand-seed=none"

build_openssl() {
  cd "$work/openssl"
  cat >Configurations/90-guest.conf <<'CONF'
my %targets = (
  "guest" => { inherit_from => [ "BASE_unix" ], bn_ops => "SIXTY_FOUR_BIT", thread_scheme => "pthreads" },
);
CONF
  # shellcheck disable=SC2086 # the options are words
  CC="clang-$LLVM_MAJOR $(target_flags "$work/sysroot") $(hide_paths)" AR="llvm-ar-$LLVM_MAJOR" \
    RANLIB="llvm-ranlib-$LLVM_MAJOR" CFLAGS="$OPENSSL_OPT -D_REENTRANT -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID" \
    perl ./Configure guest --prefix=/usr --openssldir=/etc/ssl --libdir=lib $openssl_options
  make -j"$jobs" build_generated
  make -j"$jobs" libcrypto.a libssl.a
  cp libcrypto.a libssl.a "$work/prefix/lib/"
  cp -r include/openssl "$work/prefix/include/"
}

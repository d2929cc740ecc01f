# backports.zstd: Python 3.14's compression.zstd, in front of zstandard's library.
version=1.8.0
licence="PSF-2.0 AND BSD-3-Clause"
sources="
  pypi backports_zstd-1.8.0.tar.gz 9dae4f4c481716e3db473d667457b4f508ff7459c0931b567a5c9677fb3db316
  pypi zstandard-0.25.0.tar.gz 7713e1179d162cf5c7906da876ec2ccb9c3a9dcbdffef0cc7f70c3667a205f0b"

build() {
  # The same archive as zstandard's: one of them is linked.
  (cd "$work/zstandard" && library zstd -D_WASI_EMULATED_PTHREAD -Izstd -- zstd/zstd.c)
  extension backports.zstd._zstd "-I$work/zstandard/zstd" -Isrc/c/compat -Isrc/c/compression_zstd -Isrc/c/compression_zstd/clinic \
    -Isrc/c/pythoncapi-compat -DZSTD_MULTITHREAD -- src/c/compression_zstd/*.c
  rm -r src/python/backports/zstd/_cffi
  python_files src/python/backports
}

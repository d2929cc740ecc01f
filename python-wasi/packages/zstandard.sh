# zstandard: Zstandard's compression, with dictionaries.
version=0.25.0
licence=BSD-3-Clause
sources="pypi zstandard-0.25.0.tar.gz 7713e1179d162cf5c7906da876ec2ccb9c3a9dcbdffef0cc7f70c3667a205f0b"

build() {
  library zstd -D_WASI_EMULATED_PTHREAD -Izstd -- zstd/zstd.c
  extension zstandard.backend_c -Ic-ext -Izstd -I. -DZSTD_SINGLE_FILE -DZSTD_MULTITHREAD -- c-ext/backend_c.c
  python_files zstandard
}

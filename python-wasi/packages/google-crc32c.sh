# google-crc32c: checksums, of Google's clients, in Python. What it has in C needs a
# library that is not in Debian's pool.
version=1.9.0
licence=Apache-2.0
sources="pypi google_crc32c-1.9.0.tar.gz 7b8c84c3d159ab6817fe3f74e6e6cef099c3f95dcec3abc0d8afb1404642efbe"

build() {
  python_files src/google_crc32c
}

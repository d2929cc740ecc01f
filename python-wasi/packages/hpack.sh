# hpack: pure Python, headers of HTTP/2, of h2.
version=4.2.0
licence=MIT
sources="pypi hpack-4.2.0-py3-none-any.whl 858ac0b02280fa582b5080d68db0899c62a80375e0e5413a74970c5e518b6986"

build() {
  python_files hpack
}

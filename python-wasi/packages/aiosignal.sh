# aiosignal: pure Python, of aiohttp.
version=1.4.0
licence=Apache-2.0
sources="pypi aiosignal-1.4.0-py3-none-any.whl 053243f8b92b990551949e63930a839ff0cf0b0ebbe0597b0f3fb19e1a0fe82e"

build() {
  python_files aiosignal
}

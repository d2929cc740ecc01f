# attrs: pure Python, of aiohttp.
version=26.1.0
licence=MIT
sources="pypi attrs-26.1.0-py3-none-any.whl c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309"

build() {
  python_files attr attrs
}

# frozenlist: pure Python, of aiohttp. Its compiled form needs C++.
version=1.8.0
licence=Apache-2.0
sources="pypi frozenlist-1.8.0-py3-none-any.whl 0c18a16eab41e82c295618a77502e17b195883241c563b00f0aa5106fc4eaa0d"

build() {
  python_files frozenlist
}

# requests: pure Python; the cloud's runtimes have it.
version=2.34.2
licence=Apache-2.0
sources="pypi requests-2.34.2-py3-none-any.whl 2a0d60c172f83ac6ab31e4554906c0f3b3588d37b5cb939b1c061f4907e278e0"
lean=yes

build() {
  python_files requests
}

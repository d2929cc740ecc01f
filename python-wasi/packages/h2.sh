# h2: pure Python, HTTP/2, of grpcio and httpx.
version=4.4.1
licence=MIT
sources="pypi h2-4.4.1-py3-none-any.whl 0e25f1462b23c9cb82d9eb02e28bc706dac2a68cb457c6a0d74d63c8a2a5d0e6"

build() {
  python_files h2
}

# urllib3: pure Python, of requests.
version=2.8.0
licence=MIT
sources="pypi urllib3-2.8.0-py3-none-any.whl 0cf3cae568d36aa9576b28dfb35f11328f1cb974ca7647d9475ebb86c75ac6e3"
lean=yes

build() {
  python_files urllib3
}

# idna: pure Python, of requests and yarl.
version=3.20
licence=BSD-3-Clause
sources="pypi idna-3.20-py3-none-any.whl ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c"
lean=yes

build() {
  python_files idna
}

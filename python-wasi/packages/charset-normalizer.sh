# charset-normalizer: pure Python, of requests. Its compiled form is by mypyc.
version=3.5.3
licence=MIT
sources="pypi charset_normalizer-3.5.3-py3-none-any.whl 96e268b0cbda016ac519513294fcd17032264085b600abaac58b93049477e132"
lean=yes

build() {
  python_files charset_normalizer
}

# standard-imghdr: imghdr, which Python 3.13 has removed.
version=3.13.0
licence=PSF-2.0
sources="pypi standard_imghdr-3.13.0-py3-none-any.whl 30a1bff5465605bb496f842a6ac3cc1f2131bf3025b0da28d4877d6d4b7cc8e9"
lean=yes

build() {
  python_files imghdr
}

# legacy-cgi: cgi and cgitb, which Python 3.13 has removed.
version=2.6.4
licence=PSF-2.0
sources="pypi legacy_cgi-2.6.4-py3-none-any.whl 7e235ce58bf1e25d1fc9b2d299015e4e2cd37305eccafec1e6bac3fc04b878cd"
lean=yes

build() {
  python_files cgi.py cgitb.py
}

# standard-telnetlib: telnetlib, which Python 3.13 has removed.
version=3.13.0
licence=PSF-2.0
sources="pypi standard_telnetlib-3.13.0-py3-none-any.whl b268060a3220c80c7887f2ad9df91cd81e865f0c5052332b81d80ffda8677691"
lean=yes

build() {
  python_files telnetlib
}

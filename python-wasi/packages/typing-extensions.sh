# typing_extensions: pure Python, of SQLAlchemy.
version=4.16.0
licence=PSF-2.0
sources="pypi typing_extensions-4.16.0-py3-none-any.whl 481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8"

build() {
  python_files typing_extensions.py
}

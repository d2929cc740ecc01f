# six: pure Python, of dateutil.
version=1.17.0
licence=MIT
sources="pypi six-1.17.0-py2.py3-none-any.whl 4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"

build() {
  python_files six.py
}

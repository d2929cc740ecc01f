# pyaes: AES in Python, published only as sources; Telethon asks for it.
version=1.6.1
licence=MIT
sources="pypi pyaes-1.6.1.tar.gz 02c1b1405c38d3c370b085fb952dd8bea3fadcee6411ad99f312cc129c536d8f"

build() {
  python_files pyaes
}

# yarl: URLs, of aiohttp.
version=1.25.1
licence=Apache-2.0
sources="pypi yarl-1.25.1.tar.gz 03dd38de09bc213e9a8b29761eec33ee1d5318dac0e49d8af36e4d27830e23a7"

build() {
  cython yarl/_quoting_c.pyx
  extension yarl._quoting_c -- yarl/_quoting_c.c
  python_files yarl
}

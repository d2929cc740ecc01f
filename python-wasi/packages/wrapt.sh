# wrapt: object proxies and decorators, of instrumentation.
version=2.5.2
licence=BSD-2-Clause
sources="pypi wrapt-2.5.2.tar.gz 551cb49e88b3722faad780303833bc4fa70685fb1773270fb98b40d39d9fddbf"

build() {
  extension wrapt._wrappers -- src/wrapt/_wrappers.c
  python_files src/wrapt
}

# websockets: WebSockets; in C it has their masks.
version=17.4
licence=BSD-3-Clause
sources="pypi websockets-17.4.tar.gz 09d3939b70df0c8ad2da145ebd50978bccaee1d565e838b0e7921a34d38571eb"

build() {
  extension websockets.speedups -- src/websockets/speedups.c
  rm src/websockets/{cli,__main__}.py # for a terminal
  python_files src/websockets
}

# Tornado: a web framework; in C it has the masks of WebSockets.
version=6.6.1
licence=Apache-2.0
sources="pypi tornado-6.6.1.tar.gz 28e6311402af59c8b02e3fa0f5e7d8eb465b25081381803b127d97e6a4395d5a"

build() {
  extension tornado.speedups -- tornado/speedups.c
  python_files tornado
}

# msgpack: MessagePack.
version=1.2.4
licence=Apache-2.0
sources="pypi msgpack-1.2.4.tar.gz 475c44e12f2a5de766a8448783f149c9b33f3f49b88953c6cd739a77d93c732c"

build() {
  extension msgpack._cmsgpack -I. -- msgpack/_cmsgpack.c
  python_files msgpack
}

# greenlet: its interface, over stacks that the host keeps; packages/greenlet/README.md.
# Its own module moves the one stack of a thread, which WebAssembly's code can't see.
version=3.5.6
licence="MIT AND PSF-2.0"
sources="pypi greenlet-3.5.6.tar.gz 8e67c43bdfc88d5fee6db0d3e40175b362fc95fb85f0412d233b9b203c53a575"

build() {
  cp "$here/packages/greenlet/_greenlet.c" src/greenlet/
  extension greenlet._greenlet -- src/greenlet/_greenlet.c
  rm -r src/greenlet/platform src/greenlet/*.[ch]pp
  python_files src/greenlet
}

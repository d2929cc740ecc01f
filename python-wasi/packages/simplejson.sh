# simplejson: JSON with more options than CPython's.
version=4.3.0
licence="MIT OR AFL-2.1"
sources="pypi simplejson-4.3.0.tar.gz ffe34ab51a0d37e6d1c661a5672df00d2d5e18804e38eac07abffb83fa5ec3d7"

build() {
  extension simplejson._speedups -- simplejson/_speedups.c
  python_files simplejson
}

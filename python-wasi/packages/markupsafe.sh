# MarkupSafe: escaping, which Jinja2 and Flask are built on.
version=3.0.4
licence=BSD-3-Clause
sources="pypi markupsafe-3.0.4.tar.gz 2e9ad7dd851bf45fab9f75cbff4cb493fee9979e8d8c7c9c3ee119022518edd6"

build() {
  extension markupsafe._speedups -- src/markupsafe/_speedups.c
  python_files src/markupsafe
}

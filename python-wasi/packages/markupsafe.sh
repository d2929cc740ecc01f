# MarkupSafe: escaping, which Jinja2 and Flask are built on.
version=3.0.2
licence=BSD-3-Clause
sources="pypi markupsafe-3.0.2.tar.gz ee55d3edf80167e48ea11a923c7386f4669df67d7994554387f84e7d8b0a2bf0"

build() {
  extension markupsafe._speedups -- src/markupsafe/_speedups.c
  python_files src/markupsafe
}

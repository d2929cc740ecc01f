# propcache: cached properties, of yarl.
version=0.5.4
licence=Apache-2.0
sources="pypi propcache-0.5.4.tar.gz ff6b113f50bc066a698db5d944d2c6dc7507168dd3341e255a8892fd0715a558"

build() {
  cython src/propcache/_helpers_c.pyx
  extension propcache._helpers_c -- src/propcache/_helpers_c.c
  python_files src/propcache
}

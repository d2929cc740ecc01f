# regex: regular expressions with more than CPython's.
version=2026.11.19
licence="Apache-2.0 AND CNRI-Python"
sources="pypi regex-2026.11.19.tar.gz 2826a006b68acfd3ed5074433caafe21d7f9d026eb82cb856724a4a893a70915"

build() {
  extension regex._regex -- src/_regex.c src/_regex_unicode.c
  python_files regex
}

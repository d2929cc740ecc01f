# certifi: root certificates, of requests.
version=2026.10.18
licence=MPL-2.0
sources="pypi certifi-2026.10.18-py3-none-any.whl 73191c47aaa79da394e8fee2dbc2ec827432cab56311122c9e47abf79e390f62"
lean=yes

build() {
  python_files certifi
}

# rpds-py: persistent maps and sets, which jsonschema is built on.
version=2026.9.1
licence=MIT
sources="pypi rpds_py-2026.9.1.tar.gz 4793ef7f78268b124b73fa933440f01d258bbae01de9fa53e9080c9ab0425a12"
uses=rust.sh

build() {
  rust_module rpds PyInit_rpds
}

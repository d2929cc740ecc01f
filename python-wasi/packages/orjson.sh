# orjson: JSON. The last version that the Rust of Debian 13 compiles.
version=3.11.5
licence="Apache-2.0 OR MIT"
sources="pypi orjson-3.11.5.tar.gz 82393ab47b4fe44ffd0a7659fa9cfaacc717eb617c93cde83795f14af5c2e9d5"
uses=rust.sh

build() {
  rust_module orjson.orjson PyInit_orjson
  python_files pysrc/orjson
}

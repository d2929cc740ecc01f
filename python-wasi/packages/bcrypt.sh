# bcrypt: hashes of passwords. Their salts are keys: never shared.
version=5.0.0
licence=Apache-2.0
sources="pypi bcrypt-5.0.0.tar.gz f748f7c2d6fd375cc93d3fba7ef4a9e3a092421b8dbf34d8d4dc06be9492dfdd"
uses=rust.sh

build() {
  (cd src/_bcrypt && rust_module bcrypt._bcrypt PyInit__bcrypt keys=bcrypt,bcrypt-rust)
  python_files src/bcrypt
}

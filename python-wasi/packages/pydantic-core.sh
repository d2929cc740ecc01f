# pydantic-core: validation for pydantic, which requires exactly this version.
version=2.41.5
licence=MIT
sources="pypi pydantic_core-2.41.5.tar.gz 08daa51ea16ad373ffd5e7606252cc32f07bc72b28284b6bc9c6df804816476e"
uses=rust.sh

build() {
  rust_module pydantic_core._pydantic_core PyInit__pydantic_core seeds=ahash
  python_files python/pydantic_core
}

# jiter: the JSON parser of the openai package. The last version that the Rust of
# Debian 13 compiles.
version=0.13.0
licence=MIT
sources="pypi jiter-0.13.0.tar.gz f2839f9c2c7e2dffc1bc5929a510e14ce0a946be9365fd1219e7ef342dae14f4"
uses=rust.sh

build() {
  # The archive lacks the crate of the fuzzer, which its Cargo.lock has.
  "$kit/bin/python3" -I - <<'PYTHON'
import re

with open("Cargo.lock") as file:
    head, *packages = file.read().split("[[package]]\n")
unused = re.compile(r'name = "(arbitrary|fuzz|jobserver|libfuzzer-sys)"')
packages = [package for package in packages if not unused.match(package)]
text = "[[package]]\n".join([head, *packages]).rstrip() + "\n"
with open("Cargo.lock", "w") as file:
    file.write(text.replace(' "jobserver",\n "libc",\n', ""))
PYTHON
  (cd crates/jiter-python && rust_module jiter.jiter PyInit_jiter seeds=ahash)
  # What maturin writes.
  mkdir jiter
  printf 'from .jiter import *\n' >jiter/__init__.py
  python_files jiter
}

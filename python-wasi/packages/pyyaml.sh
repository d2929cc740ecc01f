# PyYAML with CSafeLoader and CSafeDumper, by libyaml.
version=6.0.4
licence=MIT
sources="
  pypi pyyaml-6.0.4.tar.gz e24bf71af8a432d7808fabff134d38dfe16d3cbb41f2873bb4b1e42422de0a1a
  debian pool/main/liby/libyaml/libyaml_0.2.5.orig.tar.gz fa240dbf262be053f3898006d502d514936c818e422afdcf33921c63bed9bf2e"

build() {
  local libyaml=$work/libyaml
  cython yaml/_yaml.pyx
  extension yaml._yaml -Iyaml "-I$libyaml/include" -- yaml/_yaml.c
  (cd "$libyaml" && library yaml -Iinclude '-DYAML_VERSION_STRING="0.2.5"' -DYAML_VERSION_MAJOR=0 -DYAML_VERSION_MINOR=2 \
    -DYAML_VERSION_PATCH=5 -- src/*.c)
  python_files lib/yaml lib/_yaml
}

# numpy: arrays, linear algebra, Fourier transforms, random numbers. Without SIMD, and
# with the linear algebra of its own sources instead of a BLAS.
version=2.4.6
licence="BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0 AND (Apache-2.0 WITH LLVM-exception)"
sources="pypi numpy-2.4.6.tar.gz f3a3570c4a2a16746ac2c31a7c7c7b0c186b95ce902e33db6f28094ed7387dda"
science=yes
uses=meson.sh

# split_distributions: the generators of RandomState are compiled once more, with another
# type of integer, and so need other names.
split_distributions() {
  local header=numpy/_core/include/numpy/random/distributions.h name
  for name in $(grep -ohE '\brandom_\w+\(' "$header" numpy/random/src/distributions/distributions.c | tr -d '(' | sort -u); do
    sed -i "/^#define RAND_INT_MAX LONG_MAX$/a #define $name mtrand_$name" "$header"
  done
}

build() {
  local exceptions='-DFE_INVALID=1 -DFE_DIVBYZERO=4 -DFE_OVERFLOW=8 -DFE_UNDERFLOW=16'
  apply_patch "$here/packages/numpy/seed.patch"
  apply_patch "$here/packages/numpy/files.patch"
  split_distributions
  # It takes no keywords, and so has no parameter for them.
  sed -i '/(PyCFunction)_get_castingimpl,/{n;s/METH_VARARGS | METH_KEYWORDS/METH_VARARGS/}' numpy/_core/src/multiarray/multiarraymodule.c
  # A module for tests has its own of what is a part of numpy itself.
  sed -i "/'_multiarray_tests',/,/^)/{/npy_hashtable.cpp/d}" numpy/_core/meson.build
  meson_build vendored-meson/meson -Dallow-noblas=true -Dblas=none -Dlapack=none -Ddisable-optimization=true \
    -Ddisable-svml=true -Ddisable-highway=true -Ddisable-intel-sort=true "-Dc_args=$exceptions" "-Dcpp_args=$exceptions"
  cp "$here"/packages/numpy/*.c .
  compile_into "$out/objects/numpy" -- exceptions.c fenv.c
  keep_headers numpy
  # The C++ library, for all packages of this guest, and reading and printing of long
  # double.
  cp "$cxx"/lib/wasm32-wasi/libc++{,abi}.a "$kit/sysroot/lib/wasm32-wasi/libc-printscan-long-double.a" "$out/archives/"
  # For Pythons that still have distutils.
  rm -r "$work/installed/site/numpy/distutils"
  sed -i -E "s|$work|/build|; /\"Python Information\"/,/}/{s|(\"path\": ).*|\1\"/usr/bin/python3\",|; s|(\"version\": ).*|\1\"${CPYTHON_VERSION%.*}\",|}" \
    "$work/installed/site/numpy/__config__.py"
  python_files "$work"/installed/site/numpy
}

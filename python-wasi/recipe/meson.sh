# Packages that Meson builds, with C++ in them: their own build files, with a compiler
# that keeps objects instead of linking. Sourced; every line but comments is part of the
# content key of the packages that name this file in `uses`.
# shellcheck shell=bash
#
# A package that needs the headers of another one says so in `needs`; they are in
# the result of that one, in headers/.

MESON_TOOLS="ninja-build libc++-$LLVM_MAJOR-dev-wasm32 libc++abi-$LLVM_MAJOR-dev-wasm32"
cxx=/usr/lib/llvm-$LLVM_MAJOR

# unpack: like that of all packages, but Meson's own tests stay away: they have folders
# with the names of headers.
unpack() {
  rm -rf "$2"
  mkdir -p "$2"
  tar -xf "$cache/downloads/$1" -C "$2" --strip-components=1 --no-same-owner --exclude='*/meson/test cases'
}

ensure_meson_tools() (
  flock 8
  [[ -f $cxx/lib/wasm32-wasi/libc++.a && -f $cxx/lib/wasm32-wasi/libc++abi.a ]] && command -v ninja >/dev/null && exit
  local install="apt-get install --no-install-recommends -y $MESON_TOOLS"
  ((EUID == 0)) || die "ninja or the C++ library for WebAssembly is missing" "install them: sudo $install"
  export DEBIAN_FRONTEND=noninteractive
  $install || { apt-get update && $install; }
) 8>"$cache/work-meson.lock"

# write_compiler NAME COMMAND FLAG...: a compiler as Meson calls it. It gives each
# module's init function a name with the package in it, and takes the guest's headers
# of Python for the machine's. Where a module would be linked it keeps the objects.
write_compiler() {
  local file=$work/bin/$1 command=$2
  shift 2
  mkdir -p "$work/bin"
  cat >"$file" <<SCRIPT
#!/usr/bin/env bash
set -euo pipefail
arguments=() objects=() archives=() source= target= shared=
while ((\$#)); do
  case \$1 in
  -I*/include/python3.*) shift && continue ;;
  -o) target=\$2 ;;
  -shared) shared=1 ;;
  *.pyx.c) ;;
  *.c) source=\$1 ;;
  *.o) objects+=("\$1") ;;
  *.a) archives+=("\$1") ;;
  esac
  arguments+=("\$1")
  shift
done
module=\$(sed -n "s|^\${target%%.cpython-*} ||p" "$work/installed-modules" 2>/dev/null || true)
if [[ -n \$shared ]]; then
  folder=$out/objects/\${module%/*}
  mkdir -p "\$folder" "$out/archives"
  for object in "\${objects[@]}"; do
    # What several modules of a folder are made of is kept once.
    kept=\$folder/\${object##*.so.p/}
    [[ ! -e \$kept ]] || cmp "\$object" "\$kept"
    cp "\$object" "\$kept"
  done
  for archive in "\${archives[@]}"; do
    kept=$out/archives/\${archive//\//_}
    # Meson's own are thin: they name their members.
    "llvm-ar-$LLVM_MAJOR" qcsL "\$kept.\$\$" "\$archive"
    mv "\$kept.\$\$" "\$kept"
  done
  : >"\$target"
  printf '%s PyInit_%s\n' "\${module//\//.}" "\${module//\//_}" >>"$out/modules"
  exit
fi
[[ \$target != *.so.p/* ]] || arguments+=("-DPyInit_\${module##*/}=PyInit_\${module//\//_}")
if [[ -n \$source && -e "$work/installed-modules" ]]; then
  # As mend_casts does, but not of headers, which are being read. Several modules may be
  # made of one file; of which template it was made must not show.
  exec 8>>"$work/casts.lock"
  flock 8
  sed -i 's/^#line .*//' "\$source"
  { $command "\${arguments[@]}" $* -fsyntax-only -Wcast-function-type-mismatch -fno-color-diagnostics \
    -fno-caret-diagnostics -fdiagnostics-print-source-range-info 2>&1 || true; } |
    { grep -F "\$source:" || true; } | "$kit/bin/python3" -I "$here/recipe/casts.py"
  exec 8>&-
fi
exec $command "\${arguments[@]}" $*
SCRIPT
  chmod +x "$file"
}

# write_cross_file: what Meson would find out by running something.
write_cross_file() {
  local flags
  flags=$(package_flags)
  write_compiler guest-cc "clang-$LLVM_MAJOR" "$flags"
  # Exceptions need instructions that not every WebAssembly has; what throws ends the
  # instance.
  write_compiler guest-c++ "clang++-$LLVM_MAJOR" "-nostdinc++ -isystem $cxx/include/wasm32-wasi/c++/v1 $flags" \
    "-D_LIBCPP_DISABLE_AVAILABILITY -fignore-exceptions -nostdlib++ -L$cxx/lib/wasm32-wasi"
  cython --version
  printf '#!/bin/sh\nPYTHONHASHSEED=0 exec python3 -m cython "$@"\n' >"$work/bin/cython"
  chmod +x "$work/bin/cython"
  cat >"$work/cross.ini" <<INI
[binaries]
c = '$work/bin/guest-cc'
cpp = '$work/bin/guest-c++'
cython = '$work/bin/cython'
ar = 'llvm-ar-$LLVM_MAJOR'
strip = 'true'
pkg-config = 'false'
[properties]
needs_exe_wrapper = true
skip_sanity_check = true
longdouble_format = 'IEEE_QUAD_LE'
[host_machine]
system = 'wasi'
cpu_family = 'wasm32'
cpu = 'wasm32'
endian = 'little'
INI
}

# apply_patch FILE: in this folder, which no repository must claim.
apply_patch() { GIT_CEILING_DIRECTORIES=$PWD git apply -p1 "$1"; }

# keep_headers PACKAGE: for those that need it, as they lie in its folder, which looks
# like the package to those who ask it where they are.
keep_headers() {
  mkdir -p "$out/headers/$1"
  printf 'def get_include():\n    return __path__[0] + "/_core/include"\n' >"$out/headers/$1/__init__.py"
  (cd "$work/installed/site" && find "$1" \( -name '*.h' -o -name '*.pxd' \) -exec cp --parents {} "$out/headers" \;)
}

# meson_build MESON OPTION...: build the package in this folder, all its modules and
# files, by the Meson in a folder.
meson_build() {
  local meson=$1 needed
  shift
  local -x PYTHONPATH=$work/cython
  for needed in ${needs-}; do
    PYTHONPATH+=:${package_results[$needed]}/headers
  done
  [[ -f $meson/meson.py ]] || printf 'from mesonbuild.mesonmain import main\nraise SystemExit(main())\n' >"$meson/meson.py"
  ensure_meson_tools
  write_cross_file
  local -x PATH=$work/bin:$PATH CC_FOR_BUILD=clang-$LLVM_MAJOR CXX_FOR_BUILD=clang++-$LLVM_MAJOR
  python3 "$meson/meson.py" setup --cross-file "$work/cross.ini" --prefix=/usr -Dbuildtype=plain -Db_ndebug=true \
    -Dpython.bytecompile=-1 -Dpython.purelibdir=/site -Dpython.platlibdir=/site "$@" build
  # Which module is what, by its path in the build.
  python3 - >"$work/installed-modules" <<'PYTHON'
import json, os
with open("build/meson-info/intro-installed.json") as file:
    for built, installed in json.load(file).items():
        if installed.startswith("/site/") and ".cpython-" in installed:
            print(os.path.relpath(built, "build").split(".cpython-")[0], installed[6:].split(".cpython-")[0])
PYTHON
  ninja -C build -j "$jobs"
  python3 "$meson/meson.py" install -C build --no-rebuild --destdir "$work/installed"
  # They were linked in any order.
  sort -o "$out/modules" "$out/modules"
  find "$work/installed" \( -name '*.so' -o -name '*.a' \) -delete
}

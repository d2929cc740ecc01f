# What one Python package is built with: its sources, compilers, metadata. Sourced;
# every line but comments is part of the content key of each package.
# shellcheck shell=bash

# pypi_index prints the address of the machine's own index of Python packages.
pypi_index() {
  local index=${VIVARIUM_PYPI:-${PIP_INDEX_URL:-$(pip3 config get global.index-url 2>/dev/null || true)}}
  index=${index:-https://pypi.org/simple}
  printf '%s\n' "${index%/}"
}

# fetch_pypi FILE SHA256: get a source archive from the index. Its page of a project
# lists the addresses of the files, which may be relative to it.
fetch_pypi() {
  local file=$1 sum=$2 project=${1%-*} page link index
  [[ ! -f $cache/downloads/$file ]] || ! sha256sum --status --check <<<"$sum  $cache/downloads/$file" || return 0
  [[ $file != *.whl ]] || project=${file%%-*}
  project=${project//[._]/-} page=$work/index.html index=$(pypi_index)
  rm -f "$page"
  /usr/lib/apt/apt-helper download-file "$index/${project,,}/" "$page"
  link=$(grep -oE "href=\"[^\"#]*/${file//./\\.}[\"#]" "$page" | head -n 1)
  link=${link#href=\"} link=${link%[\"#]}
  case $link in
  '') die "the index has no $file" "another index: VIVARIUM_PYPI=URL of its simple/" ;;
  http*) ;;
  /*) link=$(cut -d/ -f1-3 <<<"$index")$link ;;
  *) link=$index/${project,,}/$link ;;
  esac
  fetch "$file" "$sum" "$link"
}

# get_package_sources unpacks what `sources` lists, each into a folder with the
# name of the work: lines of "pypi FILE SHA256" or "debian POOL_PATH SHA256 [URL]",
# the URL being that of the same file elsewhere.
get_package_sources() {
  local kind path sum url file folder
  first_source=
  while read -r kind path sum url; do
    [[ -n $kind ]] || continue
    file=${path##*/}
    case $kind in
    pypi)
      fetch_pypi "$file" "$sum"
      folder=${file%-*}
      [[ $file != *.whl ]] || folder=${file%%-*}
      ;;
    debian)
      fetch "$file" "$sum" "$(debian_mirror)$path" ${url:+"$url"}
      folder=${file%%_*}
      ;;
    *) die "package $name: sources can be had from pypi or debian, not from $kind" ;;
    esac
    if [[ $file = *.whl ]]; then
      mkdir -p "$work/$folder"
      "$kit/bin/python3" -I -m zipfile -e "$cache/downloads/$file" "$work/$folder"
    else
      unpack "$file" "$work/$folder"
    fi
    # A cast by way of another type would hide the function's type from mend_casts.
    find "$work/$folder" -name '*.[ch]' -exec sed -i -E 's/\(PyCFunction\) ?\(void ?\(\*\) ?\(void\)\)/(PyCFunction)/g' {} +
    first_source=${first_source:-$work/$folder}
  done <<<"$sources"
}

# The options of C code for the guest.
package_flags() {
  printf -- '%s -fwrapv -fno-strict-aliasing -DNDEBUG -O2 -Wno-everything -Werror=implicit-function-declaration' \
    "$(target_flags "$kit/sysroot") $(hide_paths)"
  printf -- ' -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -isystem %s' "$kit/include"
}

# mend_casts FILE FLAG...: see casts.py.
mend_casts() {
  local file=$1
  shift
  { "clang-$LLVM_MAJOR" "$@" -fsyntax-only -Wcast-function-type-mismatch -fno-caret-diagnostics \
    -fdiagnostics-print-source-range-info "$file" 2>&1 || true; } | "$kit/bin/python3" -I "$here/recipe/casts.py"
}

# compile_into FOLDER [FLAG...] -- FILE...: objects are named by their paths.
compile_into() {
  local folder=$1 flags file object
  # shellcheck disable=SC2207 # the flags are words
  flags=($(package_flags))
  shift
  while [[ $1 != -- ]]; do
    flags+=("$1")
    shift
  done
  shift
  mkdir -p "$folder"
  for file in "$@"; do
    object=${file%.c}
    mend_casts "$file" "${flags[@]}"
    "clang-$LLVM_MAJOR" "${flags[@]}" -c "$file" -o "$folder/${object//\//_}.o"
  done
}

# extension MODULE [FLAG...] -- FILE...: compile a module in C. The init function
# gets a name with the package in it, for several packages have a _speedups.
extension() {
  local module=$1 init=PyInit_${1//./_}
  shift
  compile_into "$out/objects/$module" "-DPyInit_${module##*.}=$init" "$@"
  printf '%s %s\n' "$module" "$init" >>"$out/modules"
}

# library NAME [FLAG...] -- FILE...: compile a library that modules call.
library() {
  local objects=$work/library-$1 archive=$out/archives/lib$1.a
  shift
  compile_into "$objects" "$@"
  mkdir -p "$out/archives"
  "llvm-ar-$LLVM_MAJOR" rcs "$archive" "$objects"/*.o
}

# cython FILE...: translate to C, next to the file.
cython() {
  local wheel=$CYTHON_WHEEL
  if [[ ! -d $work/cython ]]; then
    fetch_pypi "$wheel" "$CYTHON_SHA256"
    mkdir "$work/cython"
    "$kit/bin/python3" -I -m zipfile -e "$cache/downloads/$wheel" "$work/cython"
  fi
  PYTHONPATH=$work/cython PYTHONHASHSEED=0 python3 -m cython -3 "$@"
}
CYTHON_WHEEL=cython-3.3.1-py3-none-any.whl
CYTHON_SHA256=61abc7feedd20dac6c4ff7ab3a30e17136a067b242ab9253e2b4a6d9a72c2b61

# python_files FOLDER...: take packages, or single files, over: all but their tests
# and what they are compiled from.
python_files() {
  mkdir -p "$out/site"
  cp -r "$@" "$out/site/"
  find "$out/site" \( -name tests -o -name test -o -name __pycache__ \) -type d -prune -exec rm -rf {} +
  find "$out/site" -type f \( -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' \) -delete
}

# write_metadata writes what importlib.metadata reads, without the long description,
# and the licences.
write_metadata() {
  local info=$out/site/${name//-/_}-$version.dist-info file
  mkdir -p "$info"
  for file in PKG-INFO *.dist-info/METADATA; do
    [[ ! -f $file ]] || sed 's/\r$//; /^\r\?$/,$d' "$file" >"$info/METADATA"
  done
  grep -qx "Version: $version" "$info/METADATA" || die "package $name is not of version $version"
  printf 'vivarium\n' >"$info/INSTALLER"
  for file in LICEN[CS]E* COPYING* NOTICE* *.dist-info/LICEN[CS]E* *.dist-info/licenses/*; do
    [[ ! -f $file ]] || cp "$file" "$info/"
  done
}

write_package_json() {
  local modules
  modules=$(cut -d' ' -f1 "$out/modules" | sed 's/.*/"&"/' | paste -sd, | sed 's/,/, /g')
  cat >"$out/package.json" <<JSON
"$name": {"version": "$version", "licence": "$licence", "modules": [$modules]}
JSON
}

build_package() {
  local name=$1 version='' licence='' sources='' uses='' lean='' file
  local result=${package_results[$name]} root=$work
  local work=$root/packages/$name
  local out=$work/result
  rm -rf "$work"
  mkdir -p "$out/objects" "$out/archives" "$out/site"
  : >"$out/modules"
  # shellcheck source=/dev/null # one of packages/
  source "$here/packages/$name.sh"
  for file in $uses; do
    # shellcheck source=/dev/null # named by the package
    source "$here/recipe/$file"
  done
  get_package_sources
  cd "$first_source"
  build
  write_metadata
  write_package_json
  rm -rf "$result"
  mv "$out" "$result"
  rm -rf "$work"
}

# Python packages with C code: from the kit and a source archive to what the full
# guest links, and the package's modules in Python. Sourced; package.sh has what is
# part of the content key of each package.
# shellcheck shell=bash
#
# packages/NAME.sh says what a package consists of (README.md, "How to add a
# package"). Its result is a folder in the cache:
#   objects/            what is linked whole
#   archives/           libraries, of which is linked what is needed
#   modules             lines: a module's full name, its init function
#   site/               the package's files and its metadata
#   package.json        what versions.json says about it

# package_names prints the names of those that the full guest has.
package_names() { (cd "$here/packages" && grep -Lx 'science=yes' -- *.sh | sed 's/\.sh$//' | sort); }

# lean_packages prints the names of those that the lean guest has, too.
lean_packages() { (cd "$here/packages" && grep -lx 'lean=yes' -- *.sh | sed 's/\.sh$//' | sort); }

# package_keys NAME...
package_keys() {
  local name
  for name; do
    printf '%s\n' "$name-$(package_key "$name")"
  done
}

# add_packages ARCHIVE BASE NAME...: a copy of a library's archive, with packages.
add_packages() {
  local zip=$1 base=$2 name sites=()
  shift 2
  for name; do
    sites+=("${package_results[$name]}/site")
  done
  "$kit/bin/python3" -I "$here/recipe/library.py" packages --base "$base" --sources "${sites[@]}" --zip "$zip"
}

# describe_packages NAME...: members of a JSON object.
describe_packages() {
  local name files=()
  for name; do
    files+=("${package_results[$name]}/package.json")
  done
  cat "${files[@]}" | sed 's/^/\n    /; $!s/$/,/'
  printf '\n  '
}

# package_words NAME VARIABLE: what a package says of itself.
package_words() {
  # shellcheck source=/dev/null # one of packages/
  (source "$here/packages/$1.sh" && printf '%s\n' "${!2-}")
}

# package_key NAME: files of the recipe that the package names in `uses` count too,
# the package's own sources, and the packages that it needs.
package_key() {
  local file own='' needed='' files=("$here/recipe/package.sh" "$here/recipe/casts.py" "$here/packages/$1.sh")
  if [[ -d $here/packages/$1 ]]; then
    mapfile -t own < <(cd "$here" && find "packages/$1" -type f ! -name '*.pyc' ! -name '*.md' | sort)
    own=$(hash_files "$here" "${own[@]}")
  fi
  for file in $(package_words "$1" uses); do
    files+=("$here/recipe/$file")
  done
  # shellcheck disable=SC2046 # names are words
  needed=$(package_keys $(package_words "$1" needs))
  printf '%s\n' "$kit_key" "$(hash_script "${files[@]}")" ${own:+"$own"} ${needed:+"$needed"} | sha256sum | cut -c1-16
}

# find_packages fills package_results: name to folder in the cache.
declare -A package_results
find_packages() {
  local name
  for name in $(package_names) $(science_packages); do
    package_results[$name]=$cache/package-$name-$(package_key "$name")
  done
}

# make_packages NAME...: build what is missing, as many packages at a time as there are
# compilers. What a package needs has to be named before it.
make_packages() {
  local name
  declare -A running=()
  for name; do
    if [[ -d ${package_results[$name]} ]]; then
      touch "${package_results[$name]}"
      continue
    fi
    finish_packages "$((jobs - 1))"
    [[ -z $(package_words "$name" needs) ]] || finish_packages 0
    start "$name" "build package $name" build_package "$name"
    running[$name]=1
  done
  finish_packages 0
}

# finish_packages COUNT: wait until at most so many packages are being built.
finish_packages() {
  local name
  while ((${#running[@]} > $1)); do
    for name in "${!running[@]}"; do
      if ! jobs -rp | grep -qx "${step_pid[$name]}"; then
        finish "$name"
        unset "running[$name]"
      fi
    done
    sleep 0.1
  done
}

# count_packages NAME...: print how many are to be built.
count_packages() {
  local name count=0
  for name; do
    [[ -d ${package_results[$name]} ]] || count=$((count + 1))
  done
  printf '%s\n' "$count"
}

# write_package_table writes the C file that tells CPython of the modules.
write_package_table() {
  local results=("$@") module init
  printf '#include "python.h"\n'
  cat "${results[@]/%//modules}" | while read -r module init; do
    printf 'PyMODINIT_FUNC %s(void);\n' "$init"
  done
  printf 'struct _inittab package_modules[] = {\n'
  cat "${results[@]/%//modules}" | while read -r module init; do
    printf '  {"%s", %s},\n' "$module" "$init"
  done
  printf '  {NULL, NULL},\n};\n'
}

# The third guest: that with packages, and the scientific ones besides. It is built on
# request alone, since its packages take long. Sourced; nothing here is part of a key
# of the other guests.
# shellcheck shell=bash

# science_packages prints the names of those that only this guest has.
science_packages() { (cd "$here/packages" && grep -lx 'science=yes' -- *.sh | sed 's/\.sh$//' | sort); }

make_science_key() {
  # shellcheck disable=SC2046 # names are words
  { make_full_key && hash_script "$here/recipe/science.sh" && package_keys $(science_packages); } | sha256sum | cut -c1-16
}

# build_science_guest creates the three files, as build_full_guest does of its guest.
build_science_guest() {
  local out=$work/science names added results=() name objects archives
  rm -rf "$out"
  mkdir -p "$out"
  mapfile -t added < <(science_packages)
  mapfile -t names < <({ package_names && science_packages; } | sort)
  for name in "${names[@]}"; do
    results+=("${package_results[$name]}")
  done
  write_package_table "${results[@]}" >"$work/science.c"
  # shellcheck disable=SC2046 # the flags are words
  "clang-$LLVM_MAJOR" $(target_flags "$kit/sysroot") -std=c11 -O2 -I "$here/embed" -isystem "$kit/include" \
    -DVIVARIUM_PACKAGES -c "$work/science.c" -o "$work/science.o"
  mapfile -t objects < <(find "${results[@]/%//objects}" -name '*.o' | sort)
  mapfile -t archives < <(find "${results[@]/%//archives}" -name '*.a' | sort)
  link_module "$out" -DVIVARIUM_PACKAGES "$work/science.o" "${objects[@]}" "${archives[@]}"
  add_packages "$out/library.zip" "$full/library.zip" "${added[@]}"
  write_versions "$out" python313-science "$science_key" "$(describe_packages "${names[@]}")"
  [[ $(make_science_key) == "$science_key" ]] || die "the sources changed during the build; run it again"
  rm -rf "$science"
  mv "$out" "$science"
}

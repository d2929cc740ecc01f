# lxml: XML and HTML, by libxml2 and libxslt. Documents come from texts and from the
# function's files: there is no HTTP or FTP in these libraries.
version=6.1.3
licence="BSD-3-Clause AND MIT"
sources="
  pypi lxml-6.1.3.tar.gz 45222d94ddd511536f3b2f7d9deae3b2339b4ce0f075f1ca25703b07cad9dd21
  debian pool/main/libx/libxml2/libxml2_2.12.7+dfsg+really2.9.14.orig.tar.xz 4fe913dec8b1ab89d13b489b419a8203176ea39e931eaa0d25b17eafb9c279e9
  debian pool/main/libx/libxslt/libxslt_1.1.35.orig.tar.xz 8247f33e9a872c6ac859aa45018bc4c4d00b97e2feac9eebc10c93ce1f34dd79"

# configure_here OPTION...
configure_here() {
  chmod +x configure config.guess
  PKG_CONFIG=false AR="llvm-ar-$LLVM_MAJOR" RANLIB="llvm-ranlib-$LLVM_MAJOR" CFLAGS=-O2 \
    CC="clang-$LLVM_MAJOR $(target_flags "$kit/sysroot") -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID" \
    ./configure --host=wasm32-unknown-none --build="$(./config.guess)" --disable-shared "$@"
}

build() {
  local xml=$work/libxml2 xslt=$work/libxslt module include
  include=("-I$xml/include" "-I$xslt")
  (
    cd "$xml"
    # The seed of hash tables comes from the host, as others do, and not from the clock, which no frozen import reads.
    sed -i 's/rand_seed = time(NULL);/host_seed(\&rand_seed, sizeof rand_seed);/; s/srand(time(NULL));/#error no rand_r/
      s/^static xmlRMutexPtr xmlDictMutex = NULL;/&\n__attribute__((import_module("vivarium"), import_name("seed"))) int host_seed(void *out, size_t size);/' dict.c
    configure_here --without-python --without-threads --without-modules --without-http --without-ftp \
      --without-zlib --without-lzma --without-debug --without-legacy
    library xml2 -Iinclude -I. -DHAVE_CONFIG_H -- {SAX,SAX2,HTMLparser,HTMLtree,buf,c14n,catalog,chvalid,dict,encoding,entities,error,globals,hash,list,parser,parserInternals,pattern,relaxng,schematron,threads,tree,uri,valid,xinclude,xlink,xmlIO,xmlmemory,xmlreader,xmlregexp,xmlsave,xmlschemas,xmlschemastypes,xmlstring,xmlunicode,xmlwriter,xpath,xpointer}.c
  )
  (
    cd "$xslt"
    configure_here --without-python --without-crypto --without-debug --without-debugger --without-plugins \
      "--with-libxml-src=$xml"
    library xslt "${include[@]}" -I. -DHAVE_CONFIG_H -- libxslt/*.c
    library exslt "${include[@]}" -I. -DHAVE_CONFIG_H -- libexslt/{common,date,dynamic,exslt,functions,math,saxon,sets,strings}.c
  )
  for module in etree objectify _elementpath builder sax html/_difflib html/diff; do
    extension "lxml.${module//\//.}" "${include[@]}" -Isrc -Isrc/lxml -Isrc/lxml/includes -- "src/lxml/$module.c"
  done
  python_files src/lxml
  rm -rf "$out"/site/lxml/includes
}

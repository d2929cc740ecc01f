# Pillow: images. JPEG, PNG, GIF, WebP, TIFF without compression of its own, BMP and more; text by FreeType.
version=13.0.0
licence="MIT-CMU AND IJG AND BSD-3-Clause AND Zlib AND FTL"
sources="
  pypi pillow-13.0.0.tar.gz cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510
  debian pool/main/libj/libjpeg-turbo/libjpeg-turbo_2.1.5.orig.tar.gz 254f3642b04e309fee775123133c6464181addc150499561020312ec61c1bf7c
  debian pool/main/libw/libwebp/libwebp_1.5.0.orig.tar.gz 7d6fab70cf844bf6769077bd5d7a74893f8ffd4dfb42861745750c63c2a5c92c
  debian pool/main/f/freetype/freetype_2.13.3+dfsg.orig.tar.xz 686ec73cbf6783b245dd068a09ce807b729ac0f8a46dd70f7867923c32fdf4de
  debian pool/main/z/zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz 60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb"

# What libjpeg and FreeType leave a fault with: setjmp and longjmp by exceptions.
jumps=(-mexception-handling -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false)

build_jpeg() {
  cat >jconfig.h <<'HEADER'
#define JPEG_LIB_VERSION 62
#define LIBJPEG_TURBO_VERSION 2.1.5
#define LIBJPEG_TURBO_VERSION_NUMBER 2001005
#define C_ARITH_CODING_SUPPORTED 1
#define D_ARITH_CODING_SUPPORTED 1
#define MEM_SRCDST_SUPPORTED 1
#define BITS_IN_JSAMPLE 8
HEADER
  cat >jconfigint.h <<'HEADER'
#define BUILD ""
#define INLINE inline
#define THREAD_LOCAL
#define PACKAGE_NAME "libjpeg-turbo"
#define VERSION "2.1.5"
#define SIZEOF_SIZE_T 4
#define HAVE_BUILTIN_CTZL 1
#define FALLTHROUGH __attribute__((fallthrough));
HEADER
  sed 's/@COPYRIGHT_YEAR@/2023/' jversion.h.in >jversion.h
  library jpeg -I. -- \
    jc{apimin,apistd,arith,coefct,color,dctmgr,huff,icc,init,mainct,marker,master,omapi,param,phuff,prepct,sample,trans}.c \
    jd{apimin,apistd,arith,atadst,atasrc,coefct,color,dctmgr,huff,icc,input,mainct,marker,master,merge,phuff,postct,sample,trans}.c \
    j{aricom,error,fdctflt,fdctfst,fdctint,idctflt,idctfst,idctint,idctred,memmgr,memnobs,quant1,quant2,simd_none,utils}.c
}

build_freetype() {
  library freetype "${jumps[@]}" -DFT2_BUILD_LIBRARY -DFT_CONFIG_OPTION_SYSTEM_ZLIB -Iinclude "-I$work/zlib" -- \
    src/base/ft{base,bbox,bitmap,debug,fstype,gasp,glyph,init,mm,stroke,synth,system}.c \
    src/autofit/autofit.c src/bdf/bdf.c src/cff/cff.c src/cid/type1cid.c src/gzip/ftgzip.c src/lzw/ftlzw.c src/pcf/pcf.c \
    src/pfr/pfr.c src/psaux/psaux.c src/pshinter/pshinter.c src/psnames/psnames.c src/raster/raster.c src/sdf/sdf.c \
    src/sfnt/sfnt.c src/smooth/smooth.c src/svg/svg.c src/truetype/truetype.c src/type1/type1.c src/type42/type42.c \
    src/winfonts/winfnt.c
}

build() {
  local jpeg=$work/libjpeg-turbo webp=$work/libwebp freetype=$work/freetype
  local common=(-DPILLOW_VERSION='"13.0.0"' -Isrc/libImaging)
  (cd "$jpeg" && build_jpeg)
  (cd "$webp" && library webp -I. -- src/{dec,demux,dsp,enc,mux,utils}/*.c sharpyuv/*.c)
  (cd "$freetype" && build_freetype)
  cp "$kit/sysroot/lib/wasm32-wasi/libsetjmp.a" "$out/archives/"
  extension PIL._imaging "${common[@]}" "${jumps[@]}" -DHAVE_LIBJPEG -DHAVE_LIBZ "-I$jpeg" "-I$work/zlib" -- \
    src/{_imaging,decode,encode,map,display,outline,path}.c src/libImaging/*.c
  extension PIL._imagingft "${common[@]}" "${jumps[@]}" "-I$freetype/include" -- src/_imagingft.c
  # It has functions of its own that are the same as in _imaging.
  extension PIL._webp "${common[@]}" -DImagingSectionEnter=webp_enter -DImagingSectionLeave=webp_leave "-I$webp/src" -- src/_webp.c
  extension PIL._imagingmath "${common[@]}" -- src/_imagingmath.c
  extension PIL._imagingmorph "${common[@]}" -- src/_imagingmorph.c
  python_files src/PIL
}

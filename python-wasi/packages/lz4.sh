# lz4: LZ4's fast compression, in blocks and frames.
version=4.4.5
licence="BSD-3-Clause AND BSD-2-Clause"
sources="pypi lz4-4.4.5.tar.gz 5f0b9e53c1e82e88c10d7c180069363980136b9d7a8306c4dca4f760d60c39f0"

build() {
  library lz4 -DXXH_NAMESPACE=LZ4_ -- lz4libs/{lz4,lz4hc,lz4frame,xxhash}.c
  extension lz4._version -Ilz4libs -- lz4/_version.c
  extension lz4.block._block -Ilz4libs -- lz4/block/_block.c
  extension lz4.frame._frame -Ilz4libs -- lz4/frame/_frame.c
  rm -r lz4/stream # experimental, and in no wheel
  python_files lz4
}

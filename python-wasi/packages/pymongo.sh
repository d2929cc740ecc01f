# pymongo: MongoDB; its BSON and messages are in C.
version=4.20.1
licence=Apache-2.0
sources="pypi pymongo-4.20.1.tar.gz 1ac112b3ffa3d010cfc2fc54e3ae677a12c63d18c6115db4451df64f1a1175eb"

build() {
  extension bson._cbson -Ibson -- bson/_cbsonmodule.c bson/time64.c bson/buffer.c
  # It shares the other module's files, of which one copy can be linked.
  extension pymongo._cmessage -Ibson -- pymongo/_cmessagemodule.c
  python_files bson gridfs pymongo
}

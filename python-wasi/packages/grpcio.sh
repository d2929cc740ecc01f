# grpcio: the interface of grpcio for clients, in Python. Its own core is in C++, with
# event engines and threads that WebAssembly does not have; packages/grpcio/README.md.
version=1.85.3
licence=Apache-2.0
sources=""

get_package_sources() { first_source=$here/packages/grpcio; }

build() {
  python_files grpc
}

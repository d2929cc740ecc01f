# grpcio-tools: a name that yandexcloud asks for and does not use. There is no compiler
# of .proto files in it.
version=1.85.3
licence=Apache-2.0
sources=""

get_package_sources() { first_source=$here/packages/grpcio-tools; }

build() {
  python_files grpc_tools
}

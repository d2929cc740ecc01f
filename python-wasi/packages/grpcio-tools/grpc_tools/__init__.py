"""Where grpcio-tools has its compiler of .proto files."""

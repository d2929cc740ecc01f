# annotated-types: constraints for pydantic's annotations.
version=0.7.0
licence=MIT
sources="pypi annotated_types-0.7.0-py3-none-any.whl 1f02e8b43a8fbbc3f3e0d4f0f4bfc8131bcb4eebe8849b8e5c773f3a1c582a53"

build() { python_files annotated_types; }

# opentelemetry-api: pure Python; FastAPI asks for it.
version=1.45.2
licence=Apache-2.0
sources="pypi opentelemetry_api-1.45.2-py3-none-any.whl 2cbd737377e710ee740d261c94e93fa0f08e6d037c18f17513cc0a2d94479a34"

# Keys of a context are unique in the interpreter by their numbers: those that are made at import
# would otherwise draw randomness, as what is frozen must not.
build() {
  sed -i 's/^from uuid import uuid4$/from itertools import count/; s/str(uuid4())/str(next(_numbers))/
    s/^def create_key(/_numbers = count()\n\n\n&/' opentelemetry/context/__init__.py
  python_files opentelemetry
}

# typing-inspection: what pydantic reads annotations with.
version=0.4.2
licence=MIT
sources="pypi typing_inspection-0.4.2-py3-none-any.whl 4ed1cacbdc298c220f1bd249ed5287caa16f34d44ef4e9c3d0cbad5b521545e7"

build() { python_files typing_inspection; }

# pydantic: the last series whose core the Rust of Debian 13 compiles.
version=2.12.5
licence=MIT
sources="pypi pydantic-2.12.5-py3-none-any.whl e561593fccf61e8a20fc46dfc2dfe075b8be7d0188df33f221ad1f0139180f9d"

build() { python_files pydantic; }

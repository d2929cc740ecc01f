# hyperframe: pure Python, frames of HTTP/2, of h2.
version=6.1.0
licence=MIT
sources="pypi hyperframe-6.1.0-py3-none-any.whl b03380493a519fce58ea5af42e4a42317bf9bd425596f7a0835ffce80f1a42e5"

build() {
  python_files hyperframe
}

# aiohappyeyeballs: pure Python, of aiohttp.
version=2.7.1
licence=PSF-2.0
sources="pypi aiohappyeyeballs-2.7.1-py3-none-any.whl 9243213661e29250eb41368e5daa826fc017156c3b8a11440826b2e3ed376472"

build() {
  python_files aiohappyeyeballs
}

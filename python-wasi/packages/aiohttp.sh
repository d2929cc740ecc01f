# aiohttp: HTTP client and server for asyncio. Its parser is llhttp.
version=3.14.5
licence="Apache-2.0 AND MIT"
sources="pypi aiohttp-3.14.5.tar.gz 5558a7f5a05af9ecf744af91e5baefc436f93c9333e656c27ec253f9a6bbe178"

build() {
  extension aiohttp._http_parser -DLLHTTP_STRICT_MODE=0 -Ivendor/llhttp/build -- \
    aiohttp/_http_parser.c aiohttp/_find_header.c vendor/llhttp/build/c/llhttp.c vendor/llhttp/src/native/{api,http}.c
  extension aiohttp._http_writer -- aiohttp/_http_writer.c
  extension aiohttp._websocket.mask -- aiohttp/_websocket/mask.c
  extension aiohttp._websocket.reader_c -- aiohttp/_websocket/reader_c.c
  python_files aiohttp
}

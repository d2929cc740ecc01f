# audioop-lts: audioop, which Python 3.13 has removed; pydub asks for it.
version=0.2.2
licence=PSF-2.0
sources="pypi audioop_lts-0.2.2.tar.gz 64d0c62d88e67b98a1a5e71987b7aa7b5bcffc7dcee65b635823dbdd0a8dbbd0"

build() {
  extension audioop._audioop -- audioop/_audioop.c
  python_files audioop
}

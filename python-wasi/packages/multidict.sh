# multidict: dicts with repeated keys, of aiohttp and yarl.
version=7.2.1
licence=Apache-2.0
sources="pypi multidict-7.2.1.tar.gz e8af3e6f1bdbc31fd762b094133b478b89988eaebc63cbe82b1d9e3bbd15cede"

build() {
  extension multidict._multidict -- multidict/_multidict.c
  python_files multidict
}

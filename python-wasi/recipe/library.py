"""The library archive: the standard library and the runner, with bytecode.

Run by the build's own CPython, because bytecode belongs to one version of it:

    library.py stdlib --source lib/python3.13 --zip stdlib.zip
    library.py runtime --base stdlib.zip --source runtime --added library --zones zoneinfo.zip --zip library.zip
    library.py packages --base library.zip --sources site... --zip full.zip

Each module occurs twice, as source (tracebacks show its lines) and as
bytecode (importing needs no compiler). The bytecode is of the kind that is
never checked against its source: the tree is read-only. The same input yields
the same bytes: names are sorted and times are fixed.
"""

import argparse
import contextlib
import os
import py_compile
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

STDLIB = PurePosixPath("usr/lib/python%d.%d" % sys.version_info[:2])
RUNTIME = PurePosixPath("function/runtime")
SITE = STDLIB / "site-packages"
ZONES = PurePosixPath("usr/share/zoneinfo")

# What makes no sense in a sandbox without a terminal, a screen and
# processes, or is only useful to CPython's own developers. Paths below Lib/.
LEFT_OUT = {
    "ensurepip",
    "idlelib",
    "site-packages",
    "test",
    "tkinter",
    "turtle.py",
    "turtledemo",
}

# Files of the standard library that are no modules, but that modules read.
DATA = ["pydoc_data/_pydoc.css"]

# Modules that draw at import what few need and no two instances may share, so that no import of theirs
# could be frozen: they draw it when it is first asked for. By file what stands there, and what does instead.
MENDED = {
    # The key of connections between processes.
    "multiprocessing/process.py": [
        (
            """\
        self._config = {'authkey': AuthenticationString(os.urandom(32)),
                        'semprefix'""",
            """\
        self._config = {'semprefix'""",
        ),
        (
            """\
        return self._config['authkey']
""",
            """\
        if 'authkey' not in self._config:
            self.authkey = os.urandom(32)
        return self._config['authkey']
""",
        ),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)

    stdlib = commands.add_parser("stdlib")
    stdlib.add_argument("--source", type=Path, required=True)
    stdlib.add_argument("--zip", type=Path, required=True)
    stdlib.set_defaults(run=make_stdlib)

    runtime = commands.add_parser("runtime")
    runtime.add_argument("--base", type=Path, required=True)
    runtime.add_argument("--source", type=Path, required=True)
    runtime.add_argument("--added", type=Path, required=True)
    runtime.add_argument("--zones", type=Path, required=True)
    runtime.add_argument("--zip", type=Path, required=True)
    runtime.set_defaults(run=make_runtime)

    packages = commands.add_parser("packages")
    packages.add_argument("--base", type=Path, required=True)
    packages.add_argument("--sources", type=Path, nargs="*", required=True)
    packages.add_argument("--zip", type=Path, required=True)
    packages.set_defaults(run=make_packages)

    arguments = parser.parse_args()
    arguments.run(arguments)


def make_stdlib(arguments: argparse.Namespace) -> None:
    """Pack the guest's part of the standard library."""
    with scratch_beside(arguments.zip) as tree:
        copy(arguments.source, tree, lambda path: path.parts[0] not in LEFT_OUT)
        mend(tree)
        for name in DATA:
            shutil.copyfile(arguments.source / name, tree / name)
        # CPython looks for this folder to know where it lives.
        (tree / "lib-dynload").mkdir()
        compile_tree(tree, STDLIB)
        with zipfile.ZipFile(arguments.zip, "w") as archive:
            pack(archive, tree, STDLIB)


def make_runtime(arguments: argparse.Namespace) -> None:
    """Append the runner, modules that CPython leaves out, and the time zones to a copy of the standard library's archive."""
    if not (arguments.source / "runtime.py").is_file():
        sys.exit(f"{arguments.source}: the runner (runtime.py) is missing")
    with scratch_beside(arguments.zip) as tree:
        copy(arguments.source, tree, lambda path: not is_test(path))
        compile_tree(tree, RUNTIME)
        shutil.copyfile(arguments.base, arguments.zip)
        with zipfile.ZipFile(arguments.zip, "a") as archive:
            pack(archive, tree, RUNTIME)
    with scratch_beside(arguments.zip) as tree:
        copy(arguments.added, tree, lambda path: True)
        compile_tree(tree, STDLIB)
        with zipfile.ZipFile(arguments.zip, "a") as archive:
            pack(archive, tree, STDLIB)
    with scratch_beside(arguments.zip) as tree, zipfile.ZipFile(arguments.zones) as zones:
        zones.extractall(tree)
        with zipfile.ZipFile(arguments.zip, "a") as archive:
            pack(archive, tree, ZONES)


def make_packages(arguments: argparse.Namespace) -> None:
    """Append packages, which may have files other than modules, to a copy of the library's archive."""
    with scratch_beside(arguments.zip) as tree:
        for source in arguments.sources:
            shutil.copytree(source, tree, dirs_exist_ok=True)
        compile_tree(tree, SITE)
        shutil.copyfile(arguments.base, arguments.zip)
        with zipfile.ZipFile(arguments.zip, "a") as archive:
            pack(archive, tree, SITE)


@contextlib.contextmanager
def scratch_beside(file: Path) -> Iterator[Path]:
    """A temporary folder. (tempfile needs math, which this CPython lacks.)"""
    tree = file.with_suffix(".tree")
    tree.mkdir()
    try:
        yield tree
    finally:
        shutil.rmtree(tree)


def copy(source: Path, tree: Path, wanted: Callable[[Path], bool]) -> None:
    """Copy the wanted modules; wanted gets their relative paths."""
    for path in python_files(source):
        relative = path.relative_to(source)
        if wanted(relative):
            target = tree / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def mend(tree: Path) -> None:
    """Change modules as MENDED says."""
    for name, changes in MENDED.items():
        file = tree / name
        text = file.read_text(encoding="utf-8")
        for old, new in changes:
            if text.count(old) != 1:
                sys.exit(f"{file}: MENDED has no use for this version: {old}")
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")


def python_files(tree: Path) -> Iterator[Path]:
    """The tree's modules in order."""
    yield from sorted(tree.rglob("*.py"))


def is_test(relative: Path) -> bool:
    """Whether a file of the runner belongs to its tests."""
    return "tests" in relative.parts or relative.name.startswith("test_")


def compile_tree(tree: Path, guest: PurePosixPath) -> None:
    """Put bytecode next to each module, under the name it has in the guest."""
    for path in python_files(tree):
        py_compile.compile(
            str(path),
            dfile="/" + str(guest / path.relative_to(tree).as_posix()),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def pack(archive: zipfile.ZipFile, tree: Path, guest: PurePosixPath) -> None:
    """Append a tree to an archive: its files, and empty folders."""
    for path in sorted(tree.rglob("*")):
        name = str(guest / path.relative_to(tree).as_posix())
        if path.is_file():
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o100644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, path.read_bytes(), compresslevel=9)
        elif not os.listdir(path):
            member = zipfile.ZipInfo(name + "/")
            member.external_attr = 0o040755 << 16 | 0x10
            archive.writestr(member, b"")


if __name__ == "__main__":
    main()

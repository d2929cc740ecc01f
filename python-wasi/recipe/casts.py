"""Gives functions that are called through pointers of another type the right type.

    casts.py < DIAGNOSTICS

C programs cast functions with fewer parameters to the type of a pointer that passes
more; machines ignore the rest, but WebAssembly checks the type and traps. Where
Clang's -Wcast-function-type-mismatch finds such a cast of a function, this changes
the source: the pointer becomes that of a new function, which has the right type and
calls the other one. Casts to pointers with fewer parameters are left alone:
CPython's PyCFunction stands for functions of several types, and whoever calls one
casts it back.
"""

import re
import sys
from pathlib import Path

DIAGNOSTIC = re.compile(
    r"(?P<file>[^\n:]+):\d+:\d+:\{(?P<line>\d+):(?P<first>\d+)-(?P<last_line>\d+):(?P<last>\d+)\}[^\n]*: warning: "
    r"cast from '(?P<source>[^']*)'(?: \(aka '(?P<plain_source>[^']*)'\))? "
    r"to '(?P<target>[^']*)'(?: \(aka '(?P<plain_target>[^']*)'\))?"
)
CAST = re.compile(r"\(\s*([\w\s*]+?)\s*\)\s*&?\s*(\w+)")


def main() -> None:
    casts: dict[str, set[tuple[int, int, int, str, str]]] = {}
    for found in DIAGNOSTIC.finditer(sys.stdin.read()):
        source = found["plain_source"] or found["source"]
        target = found["plain_target"] or found["target"]
        if found["line"] == found["last_line"]:
            place = int(found["line"]), int(found["first"]), int(found["last"])
            casts.setdefault(found["file"], set()).add((*place, source, target))
    for file, places in casts.items():
        mend(Path(file), sorted(places, reverse=True))


def mend(file: Path, places: list[tuple[int, int, int, str, str]]) -> None:
    """Change one file; the places are from its end to its beginning."""
    lines = file.read_bytes().decode("latin-1").split("\n")
    declared: dict[str, str] = {}
    for line, first, last, source, target in places:
        text = lines[line - 1]
        cast = CAST.fullmatch(text[first - 1 : last - 1])
        given, takes = signature(source), signature(target)
        if cast is None or given is None or takes is None or len(given[1]) > len(takes[1]):
            continue
        function = cast[2]
        name = f"cast_{file.stem.replace('-', '_')}_{function}_{len(takes[1])}"
        lines[line - 1] = (
            f"{text[: first - 1]}(({cast[1]})(void (*)(void)){name}){text[last - 1 :]}"
        )
        head = f"static {takes[0]} {name}({', '.join(f'{kind} a{i}' for i, kind in enumerate(takes[1]))})"
        call = f"{function}({', '.join(f'a{i}' for i in range(len(given[1])))})"
        if takes[0] == "void":
            body = f"{call};"
        elif given[0] == "void":
            body = f"{call}; return 0;"
        else:
            body = f"return ({takes[0]}){call};"
        declared[head] = body
    if declared:
        before = "".join(f"{head};\n" for head in declared)
        after = "".join(f"{head} {{ {body} }}\n" for head, body in declared.items())
        # A header may be included twice.
        once = f"CAST_{re.sub(r'\W', '_', str(file))}"
        after = f"\n#ifndef {once}\n#define {once}\n{after}#endif\n"
        file.write_bytes((before + "#line 1\n" + "\n".join(lines) + after).encode("latin-1"))
        print(f"{file}: {len(declared)} functions called through pointers of another type")


def signature(text: str) -> tuple[str, list[str]] | None:
    """The result and the parameters of a pointer to a function, or None."""
    found = re.fullmatch(r"(.*?)\(\*\)\((.*)\)", text)
    if found is None or "(" in found[2] or "..." in found[2]:
        return None
    parameters = [] if found[2] in ("", "void") else found[2].split(",")
    return machine_type(found[1]), [machine_type(p) for p in parameters]


def machine_type(text: str) -> str:
    """A type that needs no declaration and is the same to the machine."""
    text = text.strip()
    if text.endswith("*") or re.search(r"\*\s*const$", text):
        return "void *"
    return "int" if text.startswith("enum ") else text


if __name__ == "__main__":
    main()

"""Programs of pyperformance, which lie beside this file in folders bm_NAME."""

import pathlib
import sys

import pyperf

# The folder and the arguments of each.
PROGRAMS = {
    "richards": ["richards"],
    "deltablue": ["deltablue"],
    "raytrace": ["raytrace"],
    "pidigits": ["pidigits"],
    "regex_effbot": ["regex_effbot"],
    "json_dumps": ["json_dumps"],
    "json_loads": ["json_loads"],
    "pickle": ["pickle", "pickle"],
    "pickle_pure_python": ["pickle", "--pure-python", "pickle"],
    "logging_format": ["logging", "format"],
    "deepcopy": ["deepcopy"],
    "comprehensions": ["comprehensions"],
}


def load(folder, *arguments):
    """Runs a program's main part, which only tells pyperf what there is to measure."""
    path = pathlib.Path(__file__).with_name("bm_" + folder) / "run_benchmark.py"
    kept = {name: sys.modules.pop(name) for name in ("pickle", "_pickle") if name in sys.modules}  # a program wants them without C
    argv, sys.argv = sys.argv, [str(path), *arguments]
    try:
        exec(compile(path.read_text(), path, "exec"), {"__name__": "__main__", "__file__": str(path)})
    finally:
        sys.argv = argv
        for name in ("pickle", "_pickle"):
            sys.modules.pop(name, None)
        sys.modules.update(kept)


def repeat(program, times):
    """The end of the value of a program that was run so often."""
    if program not in pyperf.cases:
        load(*PROGRAMS[program])
    for _ in range(times):
        value = pyperf.cases[program]()
    return repr(value)[-40:]

# pip, which can start no other program: building a package, or fetching a
# repository, would run what others wrote.
import sys

sys.path[:] = [place for place in sys.path if place]  # not the working directory

def refuse(event, args):
    if event.startswith(("subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.system", "os.startfile", "pty.")):
        raise PermissionError(1, "no program may be started while packages are installed", event)

sys.addaudithook(refuse)
sys.argv[0] = "pip"

if sys.argv[1] == "versions":  # VERSION OF PYTHON, packages: one process for all of them
    from pip._internal.cli.main import main
    for name in sys.argv[3:]:
        main(["index", "versions", "--disable-pip-version-check", "--no-input", "--python-version", sys.argv[2], name])
    sys.exit()

from runpy import run_module
run_module("pip", run_name="__main__", alter_sys=True)

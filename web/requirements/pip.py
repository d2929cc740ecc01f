# pip, which can start no other program: building a package, or fetching a
# repository, would run what others wrote.
import sys

sys.path[:] = [place for place in sys.path if place]  # not the working directory

def refuse(event, args):
    if event.startswith(("subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.system", "os.startfile", "pty.")):
        raise PermissionError(1, "no program may be started while packages are installed", event)

sys.addaudithook(refuse)
sys.argv[0] = "pip"

from runpy import run_module
run_module("pip", run_name="__main__", alter_sys=True)

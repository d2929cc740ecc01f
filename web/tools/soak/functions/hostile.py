# Functions that mean harm, one way each.
import os
import re
import sys
import time

kept = []
frozen = bytearray(b"x" * (24 << 20))  # in the image, so shared until it is written to


def spin(event, context):
    while True:
        pass


def pattern(event, context):
    return re.match(r"(a+)+$", "a" * 40 + "b") is None


def balloon(event, context):
    while True:
        kept.append(bytearray(1 << 20))


def flood(event, context):
    for _ in range(20):
        print("flood " * 1000)
    return "done"


def large(event, context):
    return "x" * 3_400_000


def too_large(event, context):
    return "x" * 4_000_000


def leave(event, context):
    sys.exit(3)


def die(event, context):
    os._exit(3)


def abort(event, context):
    os.abort()


def recurse(event, context):
    return recurse(event, context)


def nest(event, context):
    sys.setrecursionlimit(10**9)
    return recurse(event, context)


def fill(event, context):
    with open("/tmp/fill", "wb") as f:
        while True:
            f.write(b"x" * (1 << 20))


def oversleep(event, context):
    time.sleep(1000)


def huge_exception(event, context):
    raise ValueError("x" * 10_000_000)


def newlines(event, context):
    os.write(1, b"\n" * 40_000_000)
    return "done"


def reread(event, context):
    fd = os.open("/tmp/large", os.O_RDWR | os.O_CREAT)
    os.write(fd, bytes(16 << 20))
    while True:
        os.pread(fd, 16 << 20, 0)


def own(event, context):
    for at in range(0, len(frozen), 4096):
        frozen[at] = 1
    return "done"


def stubborn(event, context):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


def snoop(event, context):
    found = [str(dict(os.environ)), str(sys.argv)]
    for folder, _, names in os.walk("/"):
        if folder.startswith(("/tmp", "/function/code", "/proc", "/etc")):
            for name in names:
                with open(os.path.join(folder, name), errors="replace") as f:
                    found.append(f.read(10_000))
    return found

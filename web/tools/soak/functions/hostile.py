# Functions that mean harm, one way each.
import os
import re
import socket
import sys
import threading
import time
import urllib.request

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


def connect(path):
    host, port = os.environ["PEER"].split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: peer\r\n\r\n")
    return connection


def hoard_connections(event, context):
    while True:
        kept.append(connect(b"/nothing"))


def receive_without_end(event, context):
    connection, buffer = connect(b"/endless"), bytearray(1 << 20)
    while True:
        connection.recv_into(buffer)


def wait_for_an_answer(event, context):
    return connect(b"/nothing").recv(1)


def reach_others(event, context):
    port = int(os.environ["PEER"].split(":")[1])
    for address in ("127.0.0.2", port), ("127.0.0.1", port ^ 1), ("169.254.169.254", 80), ("0.0.0.0", port), ("10.0.0.1", 80):
        try:
            socket.create_connection(address, 0.1)
        except PermissionError as error:
            refused = error
        else:
            return f"reached {address}"
    raise refused


def follow_away(event, context):
    return urllib.request.urlopen(f"http://{os.environ['PEER']}/away").read()


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


def bomb_with_threads(event, context):
    while True:
        threading.Thread(target=time.sleep, args=(1000,)).start()


def deadlock(event, context):
    first, second = threading.Lock(), threading.Lock()

    def hold(mine, other):
        with mine:
            time.sleep(0.01)
            with other:
                pass

    threading.Thread(target=hold, args=(first, second)).start()
    hold(second, first)


def die_beside_threads(event, context):
    for _ in range(5):
        threading.Thread(target=threading.Event().wait).start()
    threading.Thread(target=os._exit, args=(3,)).start()
    time.sleep(1000)

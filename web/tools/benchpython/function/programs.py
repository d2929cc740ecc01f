"""Small programs that compute, each for some milliseconds; each returns a value that can be compared."""

import hashlib
import json
import random
import re


def fib(n=23):
    def f(n): return n if n < 2 else f(n - 1) + f(n - 2)
    return f(n)

def nbody(steps=1500):
    b = [[0., 0., 0., 0., 0., 0., 39.47], [4.84, -1.16, -.10, .6, 2.8, -.02, .037], [8.34, 4.12, -.4, -1.01, 1.8, .008, .011],
         [12.89, -15.11, -.22, 1.08, .86, -.01, .0017], [15.37, -25.9, .17, .97, .59, -.03, .002]]
    for _ in range(steps):
        for i in range(5):
            p = b[i]
            for q in b[i + 1:]:
                dx, dy, dz = p[0] - q[0], p[1] - q[1], p[2] - q[2]
                m = .001 / (dx * dx + dy * dy + dz * dz) ** 1.5
                p[3] -= dx * q[6] * m; p[4] -= dy * q[6] * m; p[5] -= dz * q[6] * m
                q[3] += dx * p[6] * m; q[4] += dy * p[6] * m; q[5] += dz * p[6] * m
        for p in b:
            p[0] += .001 * p[3]; p[1] += .001 * p[4]; p[2] += .001 * p[5]
    return round(b[0][0], 9)

def dicts(n=40000):
    d = {}
    for i in range(n):
        k = f"k{i % 5000}"
        d[k] = d.get(k, 0) + i
    return sum(d.values())

class V:
    __slots__ = ("x", "y")
    def __init__(self, x, y): self.x = x; self.y = y
    def __add__(self, o): return V(self.x + o.x, self.y + o.y)
    def dot(self, o): return self.x * o.x + self.y * o.y

def objects(n=30000):
    a = V(0, 0); s = 0
    for i in range(n):
        a = a + V(i, 1); s += a.dot(V(1, 2)) & 7
    return s

def jsons(n=60):
    doc = {"items": [{"id": i, "name": f"item {i}", "tags": ["a", "b", "c"], "price": i * 1.25, "ok": i % 2 == 0, "sub": {"x": None}} for i in range(60)]}
    t = 0
    for _ in range(n):
        t += len(json.dumps(json.loads(json.dumps(doc))))
    return t

def sorts(n=40000):
    r = random.Random(7)
    x = [r.random() for _ in range(n)]
    x.sort(); y = sorted(x, key=lambda v: -v)
    return round(y[0] + x[0], 9)

def text(n=150):
    s = "The quick brown fox jumps over the lazy dog 12345 " * 40
    t = 0
    for _ in range(n):
        t += len(re.sub(r"[aeiou]\w", "#", s).split()); t += s.upper().count("O")
    return t

def gens(n=60000):
    return sum(x * x % 7 for x in (y + 1 for y in range(n)) if x % 3)

def excs(n=30000):
    c = 0
    for i in range(n):
        try:
            if i % 3 == 0: raise ValueError(i)
        except ValueError as e:
            c += e.args[0] & 1
    return c

def sha(n=20):
    h = b"x" * 65536
    for _ in range(n): h = hashlib.sha256(h).digest() * 2048
    return hashlib.sha256(h).hexdigest()[:8]

def bigint(n=1500):
    a = 1
    for i in range(1, n): a *= i
    return len(str(a))

def strs(n=30000):
    out = []
    for i in range(n):
        out.append("%05d-%s" % (i, "abc"[i % 3]))
    return len("".join(out).replace("-a", "").encode())


def repeat(program, times):
    """The value of a program that was run so often."""
    for _ in range(times):
        value = globals()[program]()
    return value

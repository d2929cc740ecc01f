import io
import os
import warnings

import numpy as np


def fails(error, function, *args):
    try:
        function(*args)
    except error as found:
        return str(found)
    raise AssertionError(f"{function} did not fail")


def arrays():
    assert np.arange(10).sum() == 45
    a = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    assert a[:, 1, ::-2].tolist() == [[7.0, 5.0], [19.0, 17.0]]
    assert np.einsum("ijk,ljk->il", a, a).tolist() == [[506.0, 1298.0], [1298.0, 3818.0]]
    assert (a > 20).nonzero()[2].tolist() == [1, 2, 3]
    assert np.sort(np.array([3, 1, 2], "u1"))[::-1].tolist() == [3, 2, 1]
    assert np.unique(["b", "a", "b"]).tolist() == ["a", "b"]
    assert np.unique(np.array([2.5, 1.5, 2.5])).tolist() == [1.5, 2.5]
    assert np.concatenate([np.zeros((1, 2)), np.ones((1, 2))]).mean(axis=0).tolist() == [0.5, 0.5]
    table = np.array([("a", 1.5), ("b", 2.5)], dtype=[("name", "U1"), ("value", "f8")])
    assert table["value"].max() == 2.5
    out = io.BytesIO()
    np.savez_compressed(out, a=a, table=table)
    out.seek(0)
    assert (np.load(out)["a"] == a).all()
    assert np.loadtxt(io.StringIO("1 2\n3 4")).tolist() == [[1, 2], [3, 4]]
    # Sums of integers of the machine's size are of its size, which is 32 bits.
    assert np.arange(3).dtype == np.int32 and np.array([2**31]).dtype == np.int64


def files():
    a = np.arange(1000, dtype="i4")
    np.save("/tmp/a.npy", a)
    assert (np.load("/tmp/a.npy") == a).all()
    with open("/tmp/mixed", "w+b") as file:
        file.write(b"head")
        a.tofile(file)
        file.write(b"tail")
    with open("/tmp/mixed", "rb") as file:
        assert file.read(4) == b"head"
        assert (np.fromfile(file, "i4", 999) == a[:999]).all()
        assert file.read() == a[999:].tobytes() + b"tail"
    with open("/tmp/mixed", "ab") as file:
        a[:1].tofile(file)
    assert os.path.getsize("/tmp/mixed") == 4012
    assert np.fromfile(__file__, "S6", 1)[0] == b"import"
    with open("/tmp/moved", "wb") as file:
        os.replace("/tmp/moved", "/tmp/elsewhere")
        open("/tmp/moved", "w").close()
        fails(OSError, a.tofile, file)


def kinds():
    assert np.datetime64("2024-02-29") + np.timedelta64(1, "D") == np.datetime64("2024-03-01")
    assert np.float16(0.1).astype(np.float32) != np.float32(0.1)
    assert str(np.longdouble("0.1")) == "0.1" and np.finfo(np.longdouble).nmant == 112
    assert np.array([1 + 2j]).conj().prod() == 1 - 2j
    assert np.strings.upper(np.array(["ä", "b"])).tolist() == ["Ä", "B"]
    words = np.array(["text", None], dtype=np.dtypes.StringDType(na_object=None))
    assert words[0] == "text" and words[1] is None
    assert np.char.add(["a"], ["b"]).tolist() == ["ab"]
    objects = np.array([1, "a", None], dtype=object)
    assert objects[::2].tolist() == [1, None]
    assert np.frompyfunc(lambda x, y: x * y, 2, 1)(np.arange(3), 2).tolist() == [0, 2, 4]
    assert np.array2string(np.array([1.5, np.nan, np.inf])) == "[1.5 nan inf]"


def mathematics():
    m = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert np.allclose(np.linalg.solve(m, [1, 2]), [0.2, 0.6])
    assert np.allclose(np.linalg.inv(m) @ m, np.eye(2)) and np.isclose(np.linalg.det(m), 5)
    values, vectors = np.linalg.eigh(m)
    assert np.allclose(vectors @ np.diag(values) @ vectors.T, m)
    u, s, v = np.linalg.svd(np.arange(6.0).reshape(2, 3))
    assert np.allclose(u @ np.pad(np.diag(s), ((0, 0), (0, 1))) @ v, np.arange(6.0).reshape(2, 3))
    assert np.allclose(np.linalg.lstsq(np.array([[1, 0], [1, 1], [1, 2.0]]), [1, 2, 3.0])[0], [1, 1])
    fails(np.linalg.LinAlgError, np.linalg.inv, np.zeros((2, 2)))
    signal = np.sin(np.arange(64) * 2 * np.pi * 5 / 64)
    assert np.abs(np.fft.rfft(signal)).argmax() == 5
    assert np.allclose(np.fft.ifft(np.fft.fft(signal)), signal)
    assert np.polyfit([0, 1, 2], [1, 3, 5], 1).round(9).tolist() == [2, 1]
    assert np.allclose(np.polynomial.Polynomial.fromroots([1, 2])(3), 2)


def randomness():
    assert np.random.default_rng(7).integers(0, 1000, 3).tolist() == [944, 625, 684]
    np.random.seed(7)
    assert np.random.rand(2).round(8).tolist() == [0.07630829, 0.77991879]
    state = np.random.get_state()
    first = np.random.standard_normal(3).tolist()
    np.random.set_state(state)
    assert np.random.standard_normal(3).tolist() == first
    assert np.random.RandomState(7).binomial(10, 0.5, 3).tolist() == [3, 6, 5]
    for generator in (np.random.PCG64, np.random.Philox, np.random.SFC64, np.random.MT19937):
        drawn = np.random.Generator(generator(1)).normal(size=10_000)
        assert abs(drawn.mean()) < 0.05 and abs(drawn.std() - 1) < 0.05
    assert sorted(np.random.default_rng().permutation(5).tolist()) == [0, 1, 2, 3, 4]


def faults():
    fails(ValueError, lambda: np.ones(2) + np.ones(3))
    fails(IndexError, lambda: np.ones(2)[2])
    fails(MemoryError, np.ones, 2**27)
    fails(ValueError, np.ones, (2**20, 2**20))
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn"):
        warnings.simplefilter("always")
        assert (np.array([1]) // np.array([0])).tolist() == [0]
        assert np.array([1e300]).astype(np.float16)[0] == np.inf
    assert [str(w.message).split(" encountered")[0] for w in caught] == ["divide by zero", "overflow"]


def handler(event, context):
    arrays()
    files()
    kinds()
    mathematics()
    randomness()
    faults()

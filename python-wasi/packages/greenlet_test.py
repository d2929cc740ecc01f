import asyncio
import contextvars
import gc
import sys
import threading

import greenlet
from sqlalchemy.util import await_only, greenlet_spawn

number = contextvars.ContextVar("number", default=0)


def values_and_exceptions_go_both_ways():
    main = greenlet.getcurrent()

    def child(*args, **kwargs):
        got = [args, kwargs]
        while True:
            try:
                got = main.switch(got)
            except KeyError as e:
                got = e

    g = greenlet.greenlet(child)
    assert g.switch(1, a=2) == [(1,), {"a": 2}]
    assert g.switch() == () and g.switch(3) == 3 and g.switch(4, 5) == (4, 5) and g.switch(6, b=7) == ((6,), {"b": 7})
    error = KeyError("thrown")
    assert g.throw(error) is error and g.gr_frame.f_code.co_name == "child" and g
    assert isinstance(g.throw(), greenlet.GreenletExit) and g.dead and not g and g.gr_frame is None


def parents_get_what_is_left():
    def fails():
        raise ValueError("from a child")

    outer = greenlet.greenlet(lambda: greenlet.greenlet(fails).switch())
    try:
        outer.switch()
    except ValueError as e:
        assert str(e) == "from a child"
    assert outer.dead and greenlet.greenlet(lambda x: x + 1).switch(1) == 2


def each_has_what_is_its_own():
    main, seen = greenlet.getcurrent(), []

    def child(n):
        number.set(n)
        try:
            raise RuntimeError(n)
        except RuntimeError:
            main.switch()
            seen.append((number.get(), str(sys.exception())))

    children = [greenlet.greenlet(child) for _ in range(50)]
    for n, g in enumerate(children):
        g.switch(n)
    assert number.get() == 0 and sys.exception() is None
    for g in reversed(children):
        g.switch()
    assert seen == [(n, str(n)) for n in reversed(range(50))]


def one_that_nobody_holds_ends():
    main, ended = greenlet.getcurrent(), []

    def child():
        try:
            main.switch()
        except greenlet.GreenletExit:
            ended.append(greenlet.getcurrent().parent is main)
            raise

    g = greenlet.greenlet(child)
    g.switch()
    del g
    assert ended == [True], ended
    for _ in range(3000):  # their stacks are used again
        greenlet.greenlet(child).switch()
    gc.collect()
    assert len(ended) == 3001


def recursion_ends_in_an_error():
    def deep(n):
        return deep(n + 1)

    def nested():
        value = []
        for _ in range(100_000):
            value = [value]
        try:
            repr(value)
        finally:
            while value:
                value = value.pop()

    for function in (lambda: deep(0)), nested:
        try:
            greenlet.greenlet(function).switch()
        except RecursionError:
            continue
        raise AssertionError("no RecursionError")


def threads_have_their_own():
    other, answers = [], []

    def work():
        other.append(greenlet.greenlet(lambda: None))
        values_and_exceptions_go_both_ways()
        answers.append(greenlet.getcurrent())

    threads = [threading.Thread(target=work) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(map(id, answers))) == 10
    try:
        other[0].switch()
    except greenlet.error:
        return
    raise AssertionError("switched to another thread")


def there_is_a_bound():
    main, children = greenlet.getcurrent(), []
    try:
        while len(children) < 2000:
            children.append(greenlet.greenlet(main.switch))
            children[-1].switch()
    except MemoryError as e:
        assert "at most 1,024" in str(e)
    assert 50 < len(children) <= 1025, len(children)
    children.clear()
    assert greenlet.greenlet(lambda: "again").switch() == "again"


async def sqlalchemy_awaits_in_blocking_code():
    def blocking(n):
        return await_only(asyncio.sleep(0.001, n)) + await_only(asyncio.to_thread(lambda: n))

    return await asyncio.gather(*(greenlet_spawn(blocking, n) for n in range(20)))


async def handler(event, context):
    values_and_exceptions_go_both_ways()
    parents_get_what_is_left()
    each_has_what_is_its_own()
    one_that_nobody_holds_ends()
    recursion_ends_in_an_error()
    threads_have_their_own()
    there_is_a_bound()
    assert await sqlalchemy_awaits_in_blocking_code() == [2 * n for n in range(20)]

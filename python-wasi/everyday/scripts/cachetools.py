from cachetools import LRUCache, TTLCache, cached


def handler(event, context):
    calls, now = [], [0]

    @cached(LRUCache(2))
    def twice(n):
        calls.append(n)
        return n * 2

    timed = TTLCache(5, 10, timer=lambda: now[0])
    timed["a"], now[0] = 1, 11
    return [[twice(n) for n in (1, 2, 1, 3, 2)], calls, "a" in timed]

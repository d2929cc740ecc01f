"""What the runner says about freezing, the hooks, and what a clone renews."""

import random
import unittest

from guest import http, run


def load(code, **options):
    return run(code + "\ndef handler(event, context): pass\n", **options).load


class Purity(unittest.TestCase):
    def impure(self, code, want):
        answer = load(code, freeze=True).result()
        self.assertEqual(answer["impure"], want)
        self.assertEqual(answer["sources"], ["/function/code/main.py"])
        # An instance that keeps its state to itself need not say.
        self.assertEqual(load(code).result(), {"impure": []})

    def test_plain_import_is_pure(self):
        self.impure("import uuid, random, tempfile, secrets, statistics, datetime", [])

    def test_of_a_module_that_draws_from_random(self):
        self.impure("import random\nx = random.random()", ["random"])

    def test_of_a_module_that_seeds_random(self):
        self.impure("import random\nrandom.seed(5)", ["random"])

    def test_of_a_module_that_makes_generators(self):
        self.impure("import random\nrandom.Random()\nx = random.Random()\ny = random.Random(5)", [])

    def test_of_a_module_that_draws_from_a_generator_it_makes(self):
        for code in ["x.random()", "x.seed(5)", "x.setstate(random.getstate())", "import copy; y = copy.copy(x)"]:
            with self.subTest(code):
                self.impure(f"import random\nx = random.Random()\n{code}", ["random"])
        self.impure("import random\nx = random.Random().random()", ["random"])

    def test_leaves_the_generators_as_they_are_elsewhere(self):
        code = """
        import random
        def handler(event, context): return random.Random.seed.__module__
        """
        done = run(code, http(restored=True), freeze=True)
        self.assertEqual(done.answer.result(), "random")

    def test_of_a_module_that_leaves_work_on_a_loop(self):
        for code in ["loop.call_later(60, print)", "loop.create_task(asyncio.sleep(0))"]:
            code = f"import asyncio\nloop = asyncio.new_event_loop()\nx = {code}"
            self.impure(code, ["event loop"])

    def test_of_a_module_that_has_finished_with_its_loop(self):
        self.impure("import asyncio\nasyncio.run(asyncio.sleep(0))", [])


HOOKS = """
from {module} import register_after_restore, register_before_snapshot
got = []
@register_before_snapshot
def one(): got.append("before one")
register_before_snapshot(got.append, "before two")
@register_after_restore
async def three(): got.append("after one")
register_after_restore(lambda *, x: got.append(x), x="after two")
def handler(event, context): return [got, one.__name__]
"""

BEFORE = ["before two", "before one"]
AFTER = ["after one", "after two"]


class Hooks(unittest.TestCase):
    def test_run_last_in_first_out_before_and_in_order_after(self):
        for module in ["vivarium", "snapshot_restore_py"]:
            code = HOOKS.format(module=module)
            done = run(code, http(restored=True), http(), freeze=True)
            for answer in done.answers:
                self.assertEqual(answer.result(), [BEFORE + AFTER, "one"])

    def test_do_not_run_when_nothing_is_frozen(self):
        done = run(HOOKS.format(module="vivarium"), http())
        self.assertEqual(done.answer.result(), [[], "one"])

    def test_do_not_run_when_the_import_was_impure(self):
        code = "import random\nrandom.seed(1)\n" + HOOKS.format(module="vivarium")
        done = run(code, http(), freeze=True)
        self.assertEqual(done.answer.result(), [[], "one"])

    def test_before_that_fails_fails_the_load(self):
        code = """
        from vivarium import register_before_snapshot
        @register_before_snapshot
        def hook(): 1 / 0
        def handler(event, context): pass
        """
        done = run(code, http(), freeze=True)
        error = done.load.error()
        self.assertEqual(error["errorType"], "ZeroDivisionError")
        self.assertIn("in _prepare_to_freeze\n", error["stackTrace"][0])
        self.assertIn("in hook\n", error["stackTrace"][1])
        self.assertEqual(done.answer.error(), error)

    def test_after_that_fails_fails_the_call_and_discards_the_instance(self):
        code = """
        from vivarium import register_after_restore
        @register_after_restore
        def hook(): 1 / 0
        def handler(event, context): pass
        """
        done = run(code, http(restored=True), freeze=True)
        self.assertEqual(done.answer.status, 1)
        error = done.answer.error()
        self.assertEqual(error["errorType"], "ZeroDivisionError")
        self.assertIn("in restore\n", error["stackTrace"][0])
        self.assertIn("in hook\n", error["stackTrace"][1])


class Clone(unittest.TestCase):
    CODE = """
    import random, tempfile, uuid
    def handler(event, context):
        return [random.random(), tempfile.mktemp(dir="/"), uuid.uuid1().node]
    """

    def draw(self, **invocation):
        load = {"freeze": True} if invocation else {}
        return run(self.CODE, http(**invocation), **load).answer.result()

    def test_draws_other_numbers_than_its_siblings(self):
        one, two = (self.draw(restored=True) for _ in range(2))
        self.assertNotEqual(one[0], two[0])
        self.assertNotEqual(one[1], two[1])

    def test_of_the_boot_that_loads_for_itself_draws_other_numbers_too(self):
        one, two = (self.draw() for _ in range(2))
        self.assertNotEqual(one[0], two[0])

    def test_is_not_reseeded_later(self):
        code = """
        import random
        random.seed(5)
        def handler(event, context): return random.random()
        """
        random.seed(5)
        want = [random.random(), random.random()]
        done = run(code, http(), http())
        self.assertEqual([a.result() for a in done.answers], want)


if __name__ == "__main__":
    unittest.main()

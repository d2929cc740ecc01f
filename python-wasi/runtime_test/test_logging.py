"""The log streams and the logging module, as functions find them."""

import unittest

from guest import REQUEST_ID, context, http, run

LINE = r"\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t%s\t%s\n"


def logs(body, *, head="", calls=1):
    code = "import contextlib, io, logging, sys\n" + head + "\ndef handler(event, context):\n"
    code += "\n".join("    " + line for line in body.split("\n"))
    return run(code, *(http() for _ in range(calls)))


class Logging(unittest.TestCase):
    def matches(self, done, *messages):
        for answer in done.answers:
            answer.result()
        want = "".join(LINE % (REQUEST_ID, m) for m in messages)
        self.assertRegex(done.stdout, f"^{want}$")

    def test_line_has_level_time_request_id_and_message(self):
        self.matches(logs("logging.warning('ы %s', 5)"), "ы 5")

    def test_root_level_is_warning(self):
        done = logs("logging.info('no')\nlogging.getLogger('x').warning('yes')")
        self.matches(done, "yes")

    def test_basic_config_changes_nothing_and_set_level_does(self):
        body = "logging.info('no')\nlogging.getLogger().setLevel('INFO')\nlogging.info('yes')"
        done = logs(body, head="logging.basicConfig(level=logging.DEBUG, format='x')")
        self.assertRegex(done.stdout, r"^\[INFO\]\t.*\tyes\n$")

    def test_formatter_of_the_root_handler_can_be_replaced(self):
        head = "f = logging.Formatter('%(request_id)s|%(message)s')\n"
        head += "logging.getLogger().handlers[0].setFormatter(f)"
        done = logs("logging.warning('m')", head=head)
        self.assertEqual(done.stdout, f"{REQUEST_ID}|m\n")

    def test_records_have_the_request_id_in_any_handler(self):
        head = """
class Own(logging.Handler):
    def emit(self, record):
        print(record.request_id, self.format(record))
own = Own()
own.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
log = logging.getLogger("own")
log.propagate = False
log.addHandler(own)
"""
        done = logs("log.warning('m')", head=head)
        self.assertEqual(done.stdout, f"{REQUEST_ID} {REQUEST_ID} m\n")

    def test_extra_may_have_a_request_id_of_its_own(self):
        done = logs("logging.warning('m', extra={'request_id': 'mine'})")
        self.assertRegex(done.stdout, LINE % ("mine", "m"))

    def test_record_factory_of_the_function_is_respected(self):
        done = logs("logging.warning('m')", head="logging.setLogRecordFactory(logging.LogRecord)")
        self.assertRegex(done.stdout, LINE % ("", "m"))

    def test_exception_is_one_entry(self):
        done = logs("try:\n    1/0\nexcept Exception:\n    logging.exception('bad\\nluck')")
        self.assertEqual(done.stdout.count("\n"), 1)
        parts = done.stdout.rstrip("\n").split("\r")
        self.assertTrue(parts[0].endswith("\tbad"), parts[0])
        self.assertEqual(parts[1:3], ["luck", "Traceback (most recent call last):"])
        self.assertEqual(parts[-1], "ZeroDivisionError: division by zero")

    def test_request_id_follows_the_call(self):
        code = "import logging\ndef handler(event, context): logging.warning('m')"
        done = run(code, http(), http(context=context(request_id="second")))
        ids = [line.split("\t")[2] for line in done.stdout.splitlines()]
        self.assertEqual(ids, [REQUEST_ID, "second"])

    def test_at_import_works_without_a_request_id(self):
        done = logs("pass", head="logging.warning('m')")
        self.assertRegex(done.stdout, LINE % ("", "m"))

    def test_stdout_that_is_redirected_gets_the_records(self):
        body = "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        body += "    logging.warning('a\\nb')\nreturn out.getvalue()"
        done = logs(body)
        self.assertTrue(done.answer.result().endswith("\ta\nb\n"))
        self.assertEqual(done.stdout, "")

    def test_stream_of_the_handler_can_be_set(self):
        body = "out = io.StringIO()\nlogging.getLogger().handlers[0].setStream(out)\n"
        body += "logging.warning('m')\nreturn out.getvalue()"
        self.assertTrue(logs(body).answer.result().endswith("\tm\n"))


class Streams(unittest.TestCase):
    def test_print_and_stderr_reach_the_log(self):
        done = logs("print('out', 'ы')\nprint('err', file=sys.stderr)")
        self.assertEqual((done.stdout, done.stderr), ("out ы\n", "err\n"))

    def test_half_a_line_is_handed_over_when_the_call_ends(self):
        done = logs("print('a', end='')\nsys.stderr.write('b')", calls=2)
        self.assertEqual((done.stdout, done.stderr), ("aa", "bb"))

    def test_lone_surrogates_can_be_printed(self):
        done = logs("print('\\ud800')")
        done.answer.result()
        self.assertEqual(done.stdout, "\\ud800\n")

    def test_buffer_takes_bytes(self):
        done = logs("sys.stdout.buffer.write(b'bytes')")
        self.assertEqual(done.stdout, "bytes")

    def test_closed_are_open_again_in_the_next_call(self):
        body = "print('a')\nprint('b', file=sys.stderr)\nsys.stdout.close(); sys.stderr.close()"
        done = logs(body, calls=3)
        for answer in done.answers:
            answer.result()
        self.assertEqual((done.stdout, done.stderr), ("a\n" * 3, "b\n" * 3))

    def test_removed_are_back_in_the_next_call(self):
        for how in ["sys.stdout = None", "del sys.stdout, sys.stderr", "sys.stdout = 5"]:
            done = logs(f"print('a')\n{how}", calls=3)
            for answer in done.answers:
                answer.result()
            self.assertEqual(done.stdout, "a\n" * 3)

    def test_replaced_stay_and_are_flushed(self):
        head = "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, write_through=False)"
        done = logs("print('a')", head=head, calls=2)
        self.assertEqual(done.stdout, "a\na\n")

    def test_wrapper_that_takes_the_buffer_along_does_no_lasting_harm(self):
        body = "io.TextIOWrapper(sys.stdout.buffer).write('a\\n')"
        done = logs(body, calls=3)
        self.assertEqual(done.stdout, "a\n" * 3)

    def test_object_with_only_a_write_method_stays(self):
        head = "class W:\n    def write(self, s): sys.__stdout__.write(s.upper())\nsys.stdout = W()"
        done = logs("print('a')", head=head, calls=2)
        self.assertEqual(done.stdout, "A\nA\n")

    def test_streams_that_raise_change_no_answer(self):
        head = """
class W:
    closed = False
    def write(self, s): 1 / 0
    def flush(self): raise SystemExit
sys.stdout = sys.stderr = W()
"""
        done = logs("return 5", head=head)
        self.assertEqual(done.answer.status, 0)
        self.assertEqual(done.answer.result(), 5)

    def test_traceback_is_logged_past_a_replaced_stderr(self):
        done = logs("1 / 0", head="sys.stderr = io.StringIO()")
        self.assertIn("ZeroDivisionError", done.stderr)

    def test_error_is_reported_with_the_files_closed(self):
        done = logs("import os\nos.close(2)\nos.close(1)\n1 / 0")
        self.assertEqual(done.answer.error()["errorType"], "ZeroDivisionError")

    def test_order_of_lines_is_kept(self):
        body = "for n in range(3):\n    print(n)\n    logging.warning(n)"
        lines = logs(body).stdout.splitlines()
        got = [line.split("\t")[-1] for line in lines]
        self.assertEqual(got, ["0", "0", "1", "1", "2", "2"])

    def test_input_is_empty(self):
        done = logs("return sys.stdin.read()")
        self.assertEqual(done.answer.result(), "")


if __name__ == "__main__":
    unittest.main()

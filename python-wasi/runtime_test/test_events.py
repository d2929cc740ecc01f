"""What a handler gets: the event and the context."""

import base64
import json
import unittest

from guest import RAW, REQUEST_ID, call, context, http, raw, run

ECHO = """
def handler(event, context):
    return {"type": type(event).__name__, "value": repr(event)}
"""


class Event(unittest.TestCase):
    def test_http_event_is_passed_as_given(self):
        event = {"httpMethod": "POST", "body": '{"a": 1}', "headers": {"X": "ы"}}
        got = call("def handler(event, context): return event", http(event))
        self.assertEqual(got, event)

    def test_raw_json_body_is_parsed(self):
        for body, want in [
            ('{"a": [1]}', "{'a': [1]}"),
            ("[1, 2]", "[1, 2]"),
            ("null", "None"),
            ("5", "5"),
            (' "x" ', "'x'"),
            ('\ufeff{"a": 1}', "{'a': 1}"),
        ]:
            self.assertEqual(call(ECHO, raw(body))["value"], want, body)

    def test_raw_body_that_is_no_json_is_str(self):
        for body in ["hello, world!", "{", "привет", "[" * 100_000, "\ufeff", "\ufeffx", " "]:
            got = call(ECHO, raw(body))
            self.assertEqual(got, {"type": "str", "value": repr(body)})

    def test_raw_body_that_is_no_text_is_bytes(self):
        got = call(ECHO, raw(b"\xff\x00\xfe"))
        self.assertEqual(got, {"type": "bytes", "value": "b'\\xff\\x00\\xfe'"})

    def test_raw_empty_body_is_the_empty_str(self):
        for invocation in [raw(None), raw("")]:
            got = call(ECHO, invocation)
            self.assertEqual(got, {"type": "str", "value": "''"})


class Context(unittest.TestCase):
    def test_vars_gives_exactly_the_ten_members(self):
        given = context(token={"access_token": "t", "expires_in": 1, "token_type": "B"})
        got = call(
            """
            import json
            def handler(event, context):
                return {"body": json.dumps(context, default=vars)}
            """,
            http(context=given),
        )
        self.assertEqual(json.loads(got["body"]), given)

    def test_types_for_annotations_can_be_imported(self):
        code = """
        from vivarium import Context, HttpEvent, HttpResponse
        def handler(event: HttpEvent, context: Context) -> HttpResponse:
            return {"body": str(isinstance(context, Context))}
        """
        self.assertEqual(call(code), {"body": "True"})

    def test_token_is_none_without_a_service_account(self):
        got = call("def handler(event, context): return {'t': context.token}")
        self.assertEqual(got, {"t": None})

    def test_remaining_time_counts_down_to_zero(self):
        code = """
        def handler(event, context):
            return context.get_remaining_time_in_millis()
        """
        left = call(code, http(context=context()))
        self.assertIsInstance(left, int)
        self.assertTrue(0 < left <= 60_000, left)
        self.assertEqual(call(code, http(context=context(deadline_ms=1))), 0)

    def test_request_id_is_that_of_the_call(self):
        done = run(
            "def handler(event, context): return context.request_id",
            http(),
            http(context=context(request_id="second")),
        )
        self.assertEqual([a.result() for a in done.answers], [REQUEST_ID, "second"])


class Result(unittest.TestCase):
    def test_is_written_as_json_dumps_writes_it(self):
        for value, want in [
            ("{'a': 'ы', 'b': [1, 2]}", b'{"a": "\\u044b", "b": [1, 2]}'),
            ("None", b"null"),
            ("'text'", b'"text"'),
            ("(1, 2)", b"[1, 2]"),
            ("{1: 2, None: 3}", b'{"1": 2, "null": 3}'),
            ("'\\ud800'", b'"\\ud800"'),
        ]:
            done = run(f"def handler(event, context): return {value}", raw("1"))
            self.assertEqual(done.answer.body, want)

    def test_a_large_body_comes_in_base64(self):
        code = "def handler(event, context): return event"
        coded = base64.b64encode('{"a": "ы"}'.encode()).decode()
        for invocation, want in [
            (raw(body_base64=coded, text=True), {"a": "ы"}),
            (http({"body": "", "isBase64Encoded": False}, body_base64=coded),
             {"body": '{"a": "ы"}', "isBase64Encoded": False}),
            (http({"body": "", "isBase64Encoded": True}, body_base64=coded),
             {"body": coded, "isBase64Encoded": True}),
        ]:
            self.assertEqual(run(code, invocation).answer.result(), want)

    def test_raw_bytes_go_out_as_they_are(self):
        for value in ["b'\\xff\\x00'", "bytearray(b'\\xff\\x00')"]:
            answer = run(f"def handler(e, c): return {value}", raw("1")).answer
            self.assertEqual((answer.kind, answer.body), (RAW, b"\xff\x00"))

    def test_raw_empty_bytes_go_out_as_they_are(self):
        answer = run("def handler(e, c): return b''", raw("1")).answer
        self.assertEqual((answer.kind, answer.body), (RAW, b""))

    def test_what_json_cannot_write_is_a_type_error(self):
        for value, kind in [
            ("{1, 2}", "set"),
            ("b'x'", "bytes"),
            ("object()", "object"),
            ("{'a': [1j]}", "complex"),
        ]:
            answer = run(f"def handler(e, c): return {value}", http()).answer
            error = answer.error()
            self.assertEqual(error["errorType"], "TypeError")
            self.assertEqual(
                error["errorMessage"], f"Object of type {kind} is not JSON serializable"
            )
            self.assertEqual(answer.status, 0)
            self.assertEqual(len(error["stackTrace"]), 1)
            self.assertIn("in handle_event\n", error["stackTrace"][0])

    def test_circular_result_is_a_value_error(self):
        answer = run("def handler(e, c):\n x = []\n x.append(x)\n return x", http()).answer
        self.assertEqual(answer.error()["errorType"], "ValueError")


if __name__ == "__main__":
    unittest.main()

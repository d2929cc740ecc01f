import sentry_sdk
from sentry_sdk.transport import Transport

sent = []


class Keep(Transport):
    def capture_envelope(self, envelope):
        sent.append(envelope.get_event())


def handler(event, context):
    sentry_sdk.init("https://k@example.com/1", transport=Keep, release="1")
    try:
        {}["a"]
    except KeyError:
        sentry_sdk.capture_exception()
    return [sent[-1]["exception"]["values"][0]["type"], sent[-1]["release"], sent[-1]["level"]]

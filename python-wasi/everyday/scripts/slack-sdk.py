from slack_sdk.models.blocks import SectionBlock
from slack_sdk.signature import Clock, SignatureVerifier


class Then(Clock):
    def now(self):
        return 1531420618


def handler(event, context):
    verifier = SignatureVerifier("8f742231b10e8888abcd99yyyzzz85a5", Then())
    made = verifier.generate_signature(timestamp="1531420618", body="token=a")
    return [made, verifier.is_valid("token=a", "1531420618", made), SectionBlock(text="*hi*").to_dict()]

# Well-behaved functions. Each gives back the nonce that its caller sent, beside
# the secret of its tenant: an answer that has somebody else's was crossed.
import asyncio
import base64
import hashlib
import http.client
import json
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

SECRET = os.environ["SECRET"]
state = {"instance": None, "calls": 0, "connection": None, "pool": None}


def plain(event, context):
    return {"nonce": event["nonce"], "secret": SECRET}


async def concurrent(event, context):
    async def part(text):
        await asyncio.sleep(0.001)
        return text

    half = len(event["nonce"]) // 2
    parts = await asyncio.gather(part(event["nonce"][:half]), part(event["nonce"][half:]))
    return {"nonce": "".join(parts), "secret": SECRET}


def web(event, context):
    nonce = event["headers"]["X-Nonce"]
    assert nonce == base64.b64decode(event["body"]).decode()
    return {
        "statusCode": 201,
        "headers": {"X-Nonce": nonce, "Content-Type": "application/json"},
        "multiValueHeaders": {"X-Twice": [nonce, nonce]},
        "body": json.dumps({"nonce": nonce, "secret": SECRET}),
    }


def raw(event, context):
    return b"\xff" + event[1:] + SECRET.encode()


def files(event, context):
    path = "/tmp/" + event["nonce"]
    with open(path, "w") as f:
        f.write(event["nonce"] * 100)
    assert os.listdir("/tmp") == [event["nonce"]], os.listdir("/tmp")
    with open(path) as f:
        nonce = f.read()[: len(event["nonce"])]
    os.remove(path)
    return {"nonce": nonce, "secret": SECRET}


def counter(event, context):
    if state["instance"] is None:
        state["instance"] = str(uuid.uuid4())
    state["calls"] += 1
    return {"nonce": event["nonce"], "secret": SECRET, "instance": state["instance"], "calls": state["calls"]}


def compute(event, context):
    digest = event["nonce"].encode()
    for _ in range(2000):
        digest = hashlib.sha256(digest).digest()
    return {"nonce": event["nonce"], "secret": SECRET, "digest": digest.hex()}


def sleeper(event, context):
    time.sleep(event.get("seconds", 0.02))
    return {"nonce": event["nonce"], "secret": SECRET}


def queued(event, context):
    print("ran", event["nonce"])


def failing(event, context):
    raise RuntimeError("failed " + event["nonce"])


def talker(event, context):
    # Kept from call to call; the platform hangs up what was long idle.
    for connection in (state["connection"], http.client.HTTPConnection(os.environ["PEER"], timeout=30)):
        try:
            if connection:
                connection.request("POST", "/echo", event["nonce"])
                nonce = connection.getresponse().read().decode()
                break
        except (OSError, http.client.HTTPException):
            connection.close()
    state["connection"] = connection
    return {"nonce": nonce, "secret": SECRET}


def threaded(event, context):
    # Threads of a pool that stand still between calls, and one that waits for ever.
    if state["pool"] is None:
        state["pool"] = ThreadPoolExecutor(4)
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    lock, parts = threading.Lock(), {}

    def part(at):
        time.sleep(0.001)
        with lock:
            parts[at] = event["nonce"][at]

    list(state["pool"].map(part, range(len(event["nonce"]))))
    return {"nonce": "".join(parts[at] for at in sorted(parts)), "secret": SECRET}

"""What functions do with the cloud's API: the released yandexcloud package, unmodified."""

import os
import pathlib
import sys
import types

import grpc
import jwt  # which does without cryptography, if there is none

# This one asks for it even where no account's key is used.
sys.modules["cryptography"] = types.ModuleType("cryptography")

import yandexcloud
from yandex.cloud.resourcemanager.v1.cloud_service_pb2 import GetCloudRequest, ListCloudsRequest
from yandex.cloud.resourcemanager.v1.cloud_service_pb2_grpc import CloudServiceStub

config = {"endpoint": os.environ["CLOUD"], "root_certificates": pathlib.Path(__file__).with_name("ca.pem").read_bytes()}
sdk = yandexcloud.SDK(iam_token="t1.secret", **config)


def listed(sdk):
    answer = sdk.client(CloudServiceStub).List(ListCloudsRequest(page_size=7))
    return [answer.clouds[0].name, answer.next_page_token]


def by_token():
    return listed(sdk)


def by_exchanged_token():
    """The token comes from another call, which the credentials make by a future."""
    return listed(yandexcloud.SDK(token="oauth", **config))


def by_metadata():
    """Without credentials the SDK asks the metadata service for a token of the version's account."""
    name, page = listed(yandexcloud.SDK(**config))
    token = name.removeprefix("[Bearer ").removesuffix("]")
    return [jwt.decode(token, options={"verify_signature": False})["sub"], page]


def not_found(name=""):
    try:
        sdk.client(CloudServiceStub).Get(GetCloudRequest(cloud_id=name))
    except grpc.RpcError as error:
        return [error.code().name, error.details()]


def retried_by_policy():
    not_found("ab")  # two calls will fail
    return listed(yandexcloud.SDK(iam_token="t1.secret", retry_policy=yandexcloud.RetryPolicy(), **config))


def retried_by_interceptor():
    not_found("a")
    return listed(yandexcloud.SDK(iam_token="t1.secret", interceptor=yandexcloud.RetryInterceptor(max_retry_count=3), **config))


def stranger():
    """The server's certificate is not signed by an authority that is trusted."""
    try:
        listed(yandexcloud.SDK(iam_token="t1.secret", endpoint=os.environ["CLOUD"]))
    except grpc.RpcError as error:
        return [error.code().name, "CERTIFICATE_VERIFY_FAILED" in error.details()]


def handler(event, context):
    return eval(event["value"])

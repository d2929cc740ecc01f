"""The types of the event and of the response of an HTTP invocation."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Identity(TypedDict):
    """Who called, as far as the connection tells."""

    sourceIp: str
    userAgent: str


class RequestContext(TypedDict):
    """What the platform knows about the request."""

    identity: Identity
    httpMethod: str
    requestId: str
    requestTime: str
    requestTimeEpoch: int
    # Behind an API gateway.
    authorizer: NotRequired[dict[str, Any]]
    apiGateway: NotRequired[dict[str, Any]]


class HttpEvent(TypedDict):
    """The event of an HTTP invocation.

    ``body`` is the request's text only if the request was application/json;
    anything else, an empty body included, is base64 (``isBase64Encoded``).
    """

    httpMethod: str
    headers: dict[str, str]
    multiValueHeaders: dict[str, list[str]]
    queryStringParameters: dict[str, str]
    multiValueQueryStringParameters: dict[str, list[str]]
    requestContext: RequestContext
    body: str
    isBase64Encoded: bool
    url: str
    params: dict[str, str]
    multiValueParams: dict[str, list[str]]
    pathParams: dict[str, str]
    # Behind an API gateway: the path's template.
    path: NotRequired[str]


class HttpResponse(TypedDict, total=False):
    """The response to an HTTP invocation; every member may be omitted."""

    statusCode: int
    headers: dict[str, str]
    multiValueHeaders: dict[str, list[str]]
    body: str
    isBase64Encoded: bool

import yandexcloud
from yandex.cloud.serverless.functions.v1.function_pb2 import Function
from yandex.cloud.serverless.functions.v1.function_service_pb2_grpc import FunctionServiceStub


def handler(event, context):
    sdk = yandexcloud.SDK(iam_token="t1.token", endpoint="localhost:1")
    made = Function(name="greet", folder_id="f", labels={"a": "1"})
    return [Function.FromString(made.SerializeToString()).name, FunctionServiceStub.__name__, type(sdk).__name__]

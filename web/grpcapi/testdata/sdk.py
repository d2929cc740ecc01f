"""Drives a server with the cloud's Python SDK, as it is released.

usage: sdk.py ADDRESS CERTIFICATE SECRET KEY
"""

import io
import json
import ssl
import sys
import urllib.request
import zipfile

import grpc
import yandexcloud
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from yandex.cloud.logging.v1 import log_reading_service_pb2 as log_service
from yandex.cloud.logging.v1.log_reading_service_pb2_grpc import LogReadingServiceStub
from yandex.cloud.serverless.functions.v1 import function_pb2 as model
from yandex.cloud.serverless.functions.v1 import function_service_pb2 as service
from yandex.cloud.serverless.functions.v1.function_service_pb2_grpc import FunctionServiceStub

address, certificate, secret, key = sys.argv[1:]
with open(certificate, 'rb') as f:
    trusted = f.read()
sdk = yandexcloud.SDK(endpoint=address, iam_token=secret, root_certificates=trusted)
functions = sdk.client(FunctionServiceStub)


def archive(code):
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as z:
        z.writestr('main.py', code)
    return content.getvalue()


def invoke(url):
    request = urllib.request.Request(url, headers={'Authorization': 'Bearer ' + secret})
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=certificate)) as answer:
        return answer.read().decode()


created = sdk.wait_operation_and_get_result(
    functions.Create(service.CreateFunctionRequest(folder_id='default', name='greeter', labels={'by': 'sdk'})),
    response_type=model.Function,
    meta_type=service.CreateFunctionMetadata,
)
function = created.response
assert created.meta.function_id == function.id and function.name == 'greeter', created
assert dict(function.labels) == {'by': 'sdk'} and function.status == model.Function.ACTIVE, function

version = sdk.wait_operation_and_get_result(
    functions.CreateVersion(
        service.CreateFunctionVersionRequest(
            function_id=function.id,
            runtime='python312',
            entrypoint='main.handler',
            resources=model.Resources(memory=256 << 20),
            execution_timeout=Duration(seconds=5),
            environment={'NAME': 'Ann'},
            content=archive(
                'import os\n'
                'def handler(event, context):\n'
                '    print("greeting", os.environ["NAME"])\n'
                '    return {"body": "Hello, " + os.environ["NAME"]}\n'
            ),
        )
    ),
    response_type=model.Version,
    meta_type=service.CreateFunctionVersionMetadata,
).response
assert version.resources.memory == 256 << 20 and version.execution_timeout.seconds == 5, version
assert list(version.tags) == ['$latest'] and version.environment['NAME'] == 'Ann', version

assert invoke(function.http_invoke_url) == 'Hello, Ann'

tagged = sdk.wait_operation_and_get_result(
    functions.SetTag(service.SetFunctionTagRequest(function_version_id=version.id, tag='prod')),
    response_type=model.Version,
).response
assert sorted(tagged.tags) == ['$latest', 'prod'], tagged
assert invoke(function.http_invoke_url + '?tag=prod') == 'Hello, Ann'

# The log comes in pages, oldest first; the token of the last one leads to what comes later.
logs = sdk.client(LogReadingServiceStub)
criteria = log_service.Criteria(log_group_id='default', resource_ids=[function.id], page_size=2)
read = logs.Read(log_service.ReadRequest(criteria=criteria))
messages = [entry.message for entry in read.entries]
while read.entries and len(messages) < 100:
    assert len(read.entries) <= 2, read
    read = logs.Read(log_service.ReadRequest(page_token=read.next_page_token))
    messages += [entry.message for entry in read.entries]
assert messages.count('greeting Ann') == 2 and len(messages) == 8, messages
assert invoke(function.http_invoke_url) == 'Hello, Ann'
read = logs.Read(log_service.ReadRequest(page_token=read.next_page_token))
assert len(read.entries) == 2 and read.entries[1].message == 'greeting Ann', read

try:
    functions.CreateVersion(
        service.CreateFunctionVersionRequest(
            function_id=function.id,
            runtime='python312',
            entrypoint='main.handler',
            resources=model.Resources(memory=128 << 20),
            content=archive('import nothing_that_there_is\n'),
        )
    )
    raise AssertionError('code that does not load makes a version')
except grpc.RpcError as e:
    assert e.code() == grpc.StatusCode.INVALID_ARGUMENT and 'nothing_that_there_is' in e.details(), e

# With the key of a service account, the SDK signs for a token of its own.
with open(key) as f:
    account = yandexcloud.SDK(endpoint=address, service_account_key=json.load(f), root_certificates=trusted)
seen = account.client(FunctionServiceStub).Get(service.GetFunctionRequest(function_id=function.id))
assert seen.name == 'greeter', seen

sdk.wait_operation_and_get_result(
    functions.Delete(service.DeleteFunctionRequest(function_id=function.id)), response_type=Empty
)
try:
    functions.Get(service.GetFunctionRequest(function_id=function.id))
    raise AssertionError('a function that was deleted is there')
except grpc.RpcError as e:
    assert e.code() == grpc.StatusCode.NOT_FOUND, e
print('done')

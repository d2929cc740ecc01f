from grpc_tools import protoc


def handler(event, context):
    try:
        protoc.main(["protoc", "a.proto"])
    except NotImplementedError:
        return
    raise AssertionError("there is a compiler")

from google.protobuf import json_format, struct_pb2, timestamp_pb2, wrappers_pb2


def handler(event, context):
    message = struct_pb2.Struct()
    message.update({"a": [1, 2.5, None, True], "b": {"c": "ё"}})
    again = struct_pb2.Struct.FromString(message.SerializeToString(deterministic=True))
    at = timestamp_pb2.Timestamp()
    at.FromJsonString("2024-02-29T12:00:00.5Z")
    return [json_format.MessageToDict(again), at.ToNanoseconds(), wrappers_pb2.Int64Value(value=2**62).SerializeToString().hex()]

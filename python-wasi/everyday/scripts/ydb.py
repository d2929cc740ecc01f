import ydb


def handler(event, context):
    kind = ydb.ListType(ydb.StructType().add_member("id", ydb.PrimitiveType.Uint64))
    config = ydb.DriverConfig("grpc://localhost:2136", "/local", credentials=ydb.AnonymousCredentials())
    return [str(kind.proto).split(), config.database, ydb.TypedValue(1, ydb.PrimitiveType.Int32).value]

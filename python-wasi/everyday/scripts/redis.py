import redis
from redis.connection import parse_url


def handler(event, context):
    client = redis.Redis(port=1, socket_timeout=1)
    try:
        client.ping()
    except redis.RedisError as error:
        wrong = isinstance(error, redis.ConnectionError)
    packed = b"".join(client.connection_pool.make_connection().pack_command("SET", "ключ", 1.5))
    return [wrong, packed.decode(), parse_url("rediss://u:p@h:6380/2")["db"]]

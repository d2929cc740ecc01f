from peewee import CharField, ForeignKeyField, Model, SqliteDatabase, fn

db = SqliteDatabase(":memory:")


class User(Model):
    name = CharField(unique=True)

    class Meta:
        database = db


class Post(Model):
    user = ForeignKeyField(User, backref="posts")

    class Meta:
        database = db


def handler(event, context):
    db.connect(reuse_if_open=True)
    db.create_tables([User, Post])
    with db.atomic():
        anna, _ = User.get_or_create(name="Анна")
        Post.insert_many([{"user": anna}] * 3).execute()
    return [[u.name, u.n] for u in User.select(User.name, fn.COUNT(Post.id).alias("n")).join(Post).group_by(User)]

from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.util._has_cython import HAS_CYEXTENSION


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


def handler(event, context):
    assert HAS_CYEXTENSION
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Author(name="Чехов", books=[Book(title="Чайка"), Book(title="Дядя Ваня")]))
        session.commit()
        query = select(Author.name, func.count(Book.id)).join(Book).group_by(Author.id)
        assert session.execute(query).all() == [("Чехов", 2)]
        assert [b.title for b in session.scalars(select(Book).order_by(Book.title))] == ["Дядя Ваня", "Чайка"]

from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, computed_field, field_validator


class Item(BaseModel):
    model_config = ConfigDict(strict=False, frozen=True)

    kind: Literal["item"] = "item"
    id: UUID
    price: Annotated[Decimal, Field(gt=0, decimal_places=2)]
    tags: set[str] = set()

    @field_validator("tags")
    @classmethod
    def lower(cls, tags: set[str]) -> set[str]:
        return {tag.lower() for tag in tags}

    @computed_field
    @property
    def label(self) -> str:
        return f"{self.price} {sorted(self.tags)}"


class Order(BaseModel):
    items: list[Item]
    parent: "Order | None" = None


def handler(event, context):
    item = {"id": "12345678-1234-5678-1234-567812345678", "price": "1.50", "tags": ["B", "a"]}
    order = Order.model_validate({"items": [item], "parent": {"items": []}})
    assert order.items[0].label == "1.50 ['a', 'b']"
    assert Order.model_validate_json(order.model_dump_json()) == order
    assert TypeAdapter(dict[int, tuple[float, bool]]).validate_python({"1": ("2.5", "yes")}) == {1: (2.5, True)}
    assert Item.model_json_schema()["required"] == ["id", "price"]
    try:
        Order.model_validate({"items": [{"id": "?", "price": -1}]})
    except ValidationError as error:
        assert [(e["loc"], e["type"]) for e in error.errors()] == [
            (("items", 0, "id"), "uuid_parsing"),
            (("items", 0, "price"), "greater_than"),
        ]
    else:
        raise AssertionError("took what is wrong for right")

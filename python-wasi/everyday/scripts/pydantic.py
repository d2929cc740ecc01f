from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, computed_field, field_validator


class Item(BaseModel):
    kind: Literal["a", "b"]
    count: Annotated[int, Field(gt=0)]
    at: date | None = None
    tags: list[str] = []

    @field_validator("tags")
    @classmethod
    def lower(cls, tags):
        return [t.lower() for t in tags]

    @computed_field
    @property
    def label(self) -> str:
        return f"{self.kind}{self.count}"


def handler(event, context):
    made = Item.model_validate_json('{"kind": "a", "count": "3", "at": "2024-02-29", "tags": ["X"]}')
    try:
        Item(kind="c", count=0)
    except ValidationError as error:
        wrong = [[e["loc"], e["type"]] for e in error.errors()]
    return [made.model_dump(mode="json"), wrong, Item.model_json_schema()]

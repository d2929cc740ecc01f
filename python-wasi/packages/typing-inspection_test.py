from typing import Annotated, get_type_hints

from typing_inspection.introspection import AnnotationSource, inspect_annotation


class Example:
    field: Annotated[int, "note"]


def handler(event, context):
    hint = get_type_hints(Example, include_extras=True)["field"]
    found = inspect_annotation(hint, annotation_source=AnnotationSource.CLASS)
    assert found.type is int and list(found.metadata) == ["note"]

"""Arrow types of pydantic classes, so that a record's columns are said once: in its class."""

from collections.abc import Mapping
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import AwareDatetime, BaseModel

UTC = pa.timestamp("us", tz="UTC")

_SCALARS: dict[Any, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int32(),
    float: pa.float32(),
    datetime: UTC,
    AwareDatetime: UTC,
}


def arrow_schema(model: type[BaseModel]) -> pa.Schema:
    """Return the columns of a class: a field each, in their order.

    Text is string, int is int32, float is float32, a time with its zone is in UTC to the microsecond. A list is a list,
    a dict a map, a class a struct. `Annotated[int, pa.int16()]` names another type. All can be null.

    Raises:
        TypeError: a field of a type that is none of these.
    """
    return pa.schema([(name, _field_type(model, name)) for name in model.model_fields])


def _field_type(model: type[BaseModel], name: str) -> pa.DataType:
    field = model.model_fields[name]
    named = [each for each in field.metadata if isinstance(each, pa.DataType)]
    try:
        return named[0] if named else _arrow_type(field.annotation)
    except TypeError as error:
        raise TypeError(f"{model.__name__}.{name}: {error}") from None


def _arrow_type(annotation: Any) -> pa.DataType:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.struct(list(arrow_schema(annotation)))
    if origin is Annotated:
        named = [each for each in annotation.__metadata__ if isinstance(each, pa.DataType)]
        return named[0] if named else _arrow_type(arguments[0])
    if origin in (Union, UnionType):
        (inner,) = (each for each in arguments if each is not NoneType)
        return _arrow_type(inner)
    if origin is Literal and all(isinstance(each, str) for each in arguments):
        return pa.string()
    if origin is list:
        return pa.list_(_arrow_type(arguments[0]))
    if origin in (dict, Mapping):
        return pa.map_(_arrow_type(arguments[0]), _arrow_type(arguments[1]))
    raise TypeError(f"no Arrow type for {annotation}; annotate one: Annotated[..., pa.int16()]")

import _cffi_backend
import cffi


def handler(event, context):
    assert _cffi_backend.__version__ == cffi.__version__
    number = _cffi_backend.new_primitive_type("int")
    pointer = _cffi_backend.new_pointer_type(number)
    array = _cffi_backend.newp(_cffi_backend.new_array_type(pointer, 3), [1, 2, 3])
    assert list(array) == [1, 2, 3] and _cffi_backend.sizeof(array) == 12
    function = _cffi_backend.new_function_type((number,), number)
    try:
        _cffi_backend.cast(function, 1)(2)
    except NotImplementedError as error:
        assert "libffi" in str(error)
    else:
        raise AssertionError("called a function through a pointer")

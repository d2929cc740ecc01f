from hyperframe.frame import DataFrame, Frame


def handler(event, context):
    data = DataFrame(1, b"content", flags=["END_STREAM"]).serialize()
    frame, length = Frame.parse_frame_header(memoryview(data[:9]))
    frame.parse_body(memoryview(data[9 : 9 + length]))
    assert (frame.stream_id, frame.data, "END_STREAM" in frame.flags) == (1, b"content", True)

from opentelemetry import baggage, context, trace


def handler(event, context_):
    keys = [context.create_key("key") for _ in range(3)]
    assert len(set(keys)) == 3 and all(key.startswith("key-") for key in keys)
    token = context.attach(context.set_value(keys[0], "value"))
    assert context.get_value(keys[0]) == "value" and context.get_value(keys[1]) is None
    assert baggage.get_all(baggage.set_baggage("user", "anna")) == {"user": "anna"}
    with trace.get_tracer("test").start_as_current_span("work") as span:
        assert not span.is_recording() and trace.get_current_span() is span
    context.detach(token)
    assert context.get_value(keys[0]) is None

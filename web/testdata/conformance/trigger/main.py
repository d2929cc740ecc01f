def handler(event, context):
    """Answers with the type and the details of each message of a trigger's event."""
    return [[m['event_metadata']['event_type'].rpartition('.')[2], sorted(m['details'])] for m in event['messages']]

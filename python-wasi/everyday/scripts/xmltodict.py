import xmltodict


def handler(event, context):
    read = xmltodict.parse("<a x='1'><b>1</b><b>2</b></a>")
    return [read, xmltodict.unparse(read)]

from googleapiclient.discovery import build
from googleapiclient.http import HttpMockSequence


def handler(event, context):
    http = HttpMockSequence([({"status": "200"}, '{"values": [["a", "b"]]}')])
    sheets = build("sheets", "v4", http=http, static_discovery=True)
    return sheets.spreadsheets().values().get(spreadsheetId="s", range="A1:B1").execute()

import io

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font


def handler(event, context):
    book = Workbook()
    sheet = book.active
    sheet.append(["имя", 1, 2.5])
    sheet["D1"], sheet["A1"].font = "=SUM(B1:C1)", Font(bold=True)
    file = io.BytesIO()
    book.save(file)
    again = load_workbook(io.BytesIO(file.getvalue()))
    return [[list(row) for row in again.active.values], again.active["A1"].font.bold]

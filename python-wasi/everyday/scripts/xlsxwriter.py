import io
import zipfile

import xlsxwriter


def handler(event, context):
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.add_worksheet("Лист").write_row(0, 0, ["a", 1, True])
    with zipfile.ZipFile(file) as archive:
        return [archive.read("xl/worksheets/sheet1.xml").decode().partition("<sheetData>")[2], archive.testzip()]

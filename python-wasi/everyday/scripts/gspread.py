from gspread.utils import a1_range_to_grid_range, a1_to_rowcol, rowcol_to_a1


def handler(event, context):
    return [a1_to_rowcol("AB12"), rowcol_to_a1(5, 30), a1_range_to_grid_range("A1:B3")]

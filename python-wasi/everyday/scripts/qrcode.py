import qrcode


def handler(event, context):
    code = qrcode.QRCode(border=0)
    code.add_data("привет")
    code.make()
    return ["".join("#" if dot else "." for dot in row) for row in code.modules]

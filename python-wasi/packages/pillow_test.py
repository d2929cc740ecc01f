import io
import struct
import zlib

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageMath, ImageMorph, ImageOps, features


def fails(error, function, *args, **options):
    try:
        function(*args, **options)
    except error as found:
        return str(found)
    raise AssertionError(f"{function} did not fail")


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def drawing():
    image = Image.new("RGB", (128, 96), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((16, 16, 112, 80), fill="navy", outline="red", width=3)
    draw.polygon([(0, 0), (30, 0), (0, 30)], fill=(0, 200, 0))
    return image


def near(a, b, most):
    extrema = ImageChops.difference(a.convert("RGB"), b.convert("RGB")).getextrema()
    return max(high for _, high in extrema) <= most


def formats():
    image = drawing()
    for kind in ("PNG", "BMP", "TIFF", "PPM", "TGA", "PCX", "ICO", "DDS", "QOI"):
        again = opened(saved(image, kind))
        assert kind == "ICO" or near(again, image, 0), kind
    assert near(opened(saved(image, "WEBP", lossless=True)), image, 0)
    assert near(opened(saved(image, "WEBP", quality=95)), image, 140)
    for options in ({}, {"progressive": True}, {"optimize": True}, {"subsampling": 0, "quality": 95}):
        assert near(opened(saved(image, "JPEG", **options)), image, 140), options
    assert opened(saved(image.convert("CMYK"), "JPEG")).mode == "CMYK"
    assert opened(saved(image.convert("L"), "JPEG")).getpixel((64, 48)) < 30
    frames = [image, ImageOps.mirror(image)]
    assert opened(saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40)).n_frames == 2
    assert opened(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)).n_frames == 2
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = ImageOps.exif_transpose(opened(saved(image, "JPEG", exif=exif)))
    assert turned.size == (96, 128)
    draft = Image.open(io.BytesIO(saved(image.resize((1024, 768)), "JPEG")))
    draft.draft("RGB", (128, 96))
    assert draft.size == (128, 96)


def changes():
    image = drawing()
    for way in Image.Resampling:
        assert image.resize((32, 24), way).size == (32, 24)
    small = image.resize((32, 24), Image.Resampling.LANCZOS)
    assert small.getpixel((16, 12)) == (0, 0, 128) and small.getpixel((31, 23)) == (255, 255, 255)
    assert image.rotate(90, expand=True).size == (96, 128)
    assert image.convert("L").point(lambda v: 255 * (v > 128)).getcolors() is not None
    assert image.filter(ImageFilter.GaussianBlur(2)).getpixel((64, 48)) == (0, 0, 128)
    assert len(image.quantize(4).getpalette()) == 12 and image.convert("HSV").convert("RGB").mode == "RGB"
    a = Image.new("L", (2, 2), 3)
    assert ImageMath.lambda_eval(lambda args: args["a"] + args["a"], a=a).getpixel((0, 0)) == 6
    assert ImageMorph.MorphOp(op_name="corner").match(a.point(lambda v: 255)) is not None
    assert sum(image.histogram()) == 3 * 128 * 96
    assert image.tobytes() == Image.frombytes("RGB", image.size, image.tobytes()).tobytes()


def text():
    assert features.check("freetype2")
    font = ImageFont.load_default(20)
    left, top, right, bottom = font.getbbox("Vivarium")
    assert 60 < right - left < 120 and 10 < bottom - top < 24
    image = Image.new("L", (200, 40), 255)
    ImageDraw.Draw(image).text((5, 5), "Vivarium, Ünïcode", font=font, fill=0, stroke_width=1)
    assert image.getextrema()[0] == 0 and 200 < sum(image.histogram()[:128]) < 3000
    fails(OSError, ImageFont.truetype, io.BytesIO(b"no font"))


def hostile():
    """What is broken is an exception, however often, and leaves nothing behind."""
    image = drawing()
    jpeg, png, webp = saved(image, "JPEG"), saved(image, "PNG"), saved(image, "WEBP")
    # A table of Huffman codes that can't be.
    at = jpeg.index(b"\xff\xc4")
    broken = jpeg[: at + 5] + b"\xff" * 16 + jpeg[at + 21 :]
    for _ in range(2000):
        fails(OSError, opened, broken)
    fails(OSError, opened, jpeg[: len(jpeg) // 2])
    fails((OSError, SyntaxError), opened, png[: len(png) // 2])
    fails(OSError, opened, webp[: len(webp) // 2])
    fails(OSError, opened, b"no image")
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + png[24:29]
    bomb = png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]
    fails(Image.DecompressionBombError, opened, bomb)
    # It still works.
    assert opened(jpeg).size == (128, 96)


def handler(event, context):
    formats()
    changes()
    text()
    hostile()

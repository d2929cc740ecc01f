from lxml import etree, html, objectify
from lxml.html import builder

FEED = "<?xml version='1.0' encoding='windows-1251'?><лента><новость номер='1'>Привет &amp; пока</новость></лента>"


def fails(error, function, *args):
    try:
        function(*args)
    except error as found:
        return str(found)
    raise AssertionError(f"{function} did not fail")


def trees():
    tree = etree.fromstring("<a xmlns:x='urn:x'><x:b n='1'>t</x:b>tail<c/></a>")
    assert tree.xpath("//x:b/@n", namespaces={"x": "urn:x"}) == ["1"]
    assert tree.xpath("count(//*[contains(., 't')])") == 2.0
    assert tree.find("{urn:x}b").tail == "tail" and len(tree) == 2
    etree.SubElement(tree, "d", e="é").text = "<"
    assert etree.tostring(tree, encoding="unicode").endswith('<d e="é">&lt;</d></a>')
    read = etree.fromstring(FEED.encode("cp1251"))
    assert read[0].get("номер") == "1" and read[0].text == "Привет & пока"
    assert etree.tostring(read, encoding="koi8-r").decode("koi8-r").count("Привет") == 1
    assert "line 1" in fails(etree.XMLSyntaxError, etree.fromstring, "<a><b></a>")
    assert [(event, node.tag) for event, node in etree.iterparse(Reader(b"<a><b/></a>"), ("start", "end"))] == [
        ("start", "a"), ("start", "b"), ("end", "b"), ("end", "a")
    ]
    assert objectify.fromstring("<a><b>1</b><b>2</b></a>").b[1] + 1 == 3


class Reader:
    def __init__(self, text):
        self.text = text

    def read(self, size):
        part, self.text = self.text[:3], self.text[3:]
        return part


def pages():
    page = html.fromstring("<div><p class='k a'>Один<br><p>Два <a href='x'>там</div>")
    assert [p.text_content() for p in page.xpath("//p")] == ["Один", "Два там"]
    page.make_links_absolute("https://example.com/y/")
    assert page.xpath("//a/@href") == ["https://example.com/y/x"]
    assert html.tostring(builder.DIV(builder.CLASS("x"), builder.B("1"))) == b'<div class="x"><b>1</b></div>'


def schemas():
    schema = etree.XMLSchema(etree.fromstring(
        "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='a' type='xs:integer'/></xs:schema>"
    ))
    assert schema.validate(etree.fromstring("<a>1</a>")) and not schema.validate(etree.fromstring("<a>x</a>"))
    assert "xs:integer" in str(schema.error_log.last_error)
    grammar = etree.RelaxNG(etree.fromstring("<element name='a' xmlns='http://relaxng.org/ns/structure/1.0'><text/></element>"))
    assert grammar.validate(etree.fromstring("<a>x</a>")) and not grammar.validate(etree.fromstring("<b/>"))
    sheet = etree.XSLT(etree.fromstring(
        "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'><xsl:output method='text'/>"
        "<xsl:template match='/'><xsl:for-each select='//b'><xsl:sort select='.'/><xsl:value-of select='.'/></xsl:for-each>"
        "</xsl:template></xsl:stylesheet>"
    ))
    assert str(sheet(etree.fromstring("<a><b>2</b><b>1</b></a>"))) == "12"
    assert etree.tostring(etree.fromstring("<a c='2' b='1'/>"), method="c14n") == b'<a b="1" c="2"></a>'


def hostile():
    """What libxml2 bounds by itself, and what a parser here can't reach."""
    bomb = "<!DOCTYPE a [<!ENTITY b '" + "x" * 1000 + "'>" + "".join(
        f"<!ENTITY {chr(99 + n)} '{f'&{chr(98 + n)};' * 100}'>" for n in range(6)
    ) + "]><a>&h;</a>"
    fails(etree.XMLSyntaxError, etree.fromstring, bomb)
    fails(etree.XMLSyntaxError, etree.fromstring, "<a>" * 1000)
    fails(OSError, etree.parse, "http://127.0.0.1:1/x.xml")


def handler(event, context):
    trees()
    pages()
    schemas()
    hostile()

from lxml import etree, html


def handler(event, context):
    tree = etree.fromstring(b"<a xmlns:x='urn:x'><x:b n='1'>t</x:b><c/></a>")
    page = html.fromstring("<div><p class=k>Один<p>Два</div>")
    return [tree.xpath("//x:b/@n", namespaces={"x": "urn:x"}), etree.tostring(tree).decode(), [p.text for p in page.xpath("//p")]]

import feedparser

feed = """<rss version="2.0"><channel><title>Новости</title><item><title>a &amp; b</title><link>http://x/1</link>
<pubDate>Thu, 29 Feb 2024 10:00:00 +0300</pubDate></item></channel></rss>"""


def handler(event, context):
    read = feedparser.parse(feed)
    return [read.feed.title, read.entries[0].title, list(read.entries[0].published_parsed), read.bozo]

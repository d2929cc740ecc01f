from bs4 import BeautifulSoup

page = "<html><p class=a>Один <a href='/x'>ссылка</a></p><p>Два<br>три</html>"


def handler(event, context):
    soup = BeautifulSoup(page, "html.parser")
    return [soup.select_one("p.a a")["href"], [p.get_text(" ", strip=True) for p in soup.find_all("p")], str(soup.p)]

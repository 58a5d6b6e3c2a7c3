"""HTML and FB2: the text that a reader sees, from broken and enormous files too."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_reading import read, read_one, words_of

HTML = """<!DOCTYPE html><html><head><meta charset="koi8-r"><title>Заголовок</title>
<style>.класс {}</style><script>var слово = "<p>нет</p>";</script></head>
<body><!-- тайна --><h1>Печень</h1><p>Орган с <b>важной</b> ролью.<br>Новая строка</p>
<ul><li>раз<li>два</ul>
<pre>код</pre><p>Это <code>переменная</code> и
<a href="https://пример.рф" title="титул">ссылка</a> &laquo;да&raquo;
"""


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "utf-16"])
def test_html_gives_the_text_a_reader_sees(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "а.html"
    path.write_bytes(HTML.encode(encoding))
    text, prose, report = read_one(path)
    seen = "Заголовок Печень Орган с важной ролью Новая строка раз два Это и ссылка да"
    assert words_of(prose) == seen
    assert "переменная" in text
    assert "\nраз\n\nдва" in prose, "cells are no phrase"
    assert "ролью.\nНовая строка" in prose
    assert (report.format, report.encoding) == ("html", encoding)


def test_broken_deep_and_large_html(tmp_path: Path) -> None:
    path = tmp_path / "а.htm"
    body = "<div>" * 5000 + "глубоко" + "</p></div>" * 5000 + "<p>a < b & слово <p>" + "строка <i>текста</i>\n" * 90_000
    path.write_text(body, encoding="utf-8")
    documents, (report,) = read(path)
    prose = "".join(document.prose for document in documents)
    assert words_of(prose[:100]).startswith("глубоко слово строка текста")
    assert prose.count("строка текста") == 90_000
    assert report.status == "read"


FB2 = """<?xml version="1.0" encoding="windows-1251"?>
<!DOCTYPE FictionBook [<!ENTITY смех "ха"><!ENTITY file SYSTEM "file:///etc/passwd">]>
<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0">
<description><title-info><book-title>Повесть</book-title></title-info>
<document-info><id>лишнее</id></document-info></description>
<body><title><p>Глава <strong>первая</strong></p></title>
<section><p>Жил-был <style name="x">кот</style> &file;.</p><empty-line/><p>Он < всех &amp; умнее.</p>
<poem><stanza><v>Строка</v><v>другая</v></stanza></poem></section></body>
<binary id="a.jpg" content-type="image/jpeg">0JrQvtGCINC90LUg0YLRg9GC</binary></FictionBook>"""


def test_fb2_in_its_own_encoding(tmp_path: Path) -> None:
    path = tmp_path / "книга.fb2"
    path.write_bytes(FB2.encode("cp1251"))
    text, prose, report = read_one(path)
    assert words_of(prose) == "Повесть Глава первая Жил-был кот Он всех умнее Строка другая"
    assert "root:" not in text
    assert "0Jr" not in text
    assert (report.encoding, report.status) == ("cp1251", "read")

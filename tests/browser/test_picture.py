"""README's picture of a report is what a student sees today."""

from tests.browser.picture import PICTURE, digest, labelled, page, shown_in
from tests.report.reading import Page


def test_the_picture_shows_todays_page(tmp_path):
    today = page(tmp_path)

    assert "Where points were lost" in Page(today).text
    assert shown_in(PICTURE.read_bytes()) == digest(today), (
        "python -m tests.browser.picture makes it anew"
    )


def test_a_picture_of_another_page_is_noticed():
    png = PICTURE.read_bytes()

    other = labelled(png.replace(b"tEXt", b"zzZz", 1), "<p>other</p>")

    assert shown_in(other) not in ("", shown_in(png))


def test_readme_shows_it():
    readme = (PICTURE.parents[1] / "README.md").read_text("utf-8")

    assert "](docs/report.png)" in readme

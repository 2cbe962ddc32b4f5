"""Make the picture that links to the site are shown with: `python docs/make_social.py`.

It is drawn by a browser of the Chromium family.
"""

import pathlib
import shutil
import subprocess
import tempfile

ASSETS = pathlib.Path(__file__).parent / "assets"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = (1200, 630)
PAGE = """
<!doctype html>
<meta charset="utf-8">
<style>
  body {{ margin: 0; width: {0}px; height: {1}px; display: flex; align-items: center; gap: 76px;
    padding: 0 92px; box-sizing: border-box; color: #fff; background: #303f9f;
    font-family: Inter, Roboto, Helvetica, Arial, "Liberation Sans", sans-serif; }}
  svg {{ width: 380px; flex: none; }}
  h1 {{ margin: 0; font-size: 124px; letter-spacing: -4px; line-height: 1; }}
  p {{ margin: 34px 0 0; font-size: 39px; line-height: 1.36; color: #dfe3fb; text-wrap: balance; }}
</style>
{2}
<div><h1>multisi</h1>
<p>One field over the simplex of your datasets: move samples between any pair, or to any
mixture.</p></div>
"""


def main() -> None:
    """Write `docs/assets/social.png`."""
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder, "social.html")
        page.write_text(PAGE.format(*SIZE, (ASSETS / "logo.svg").read_text()))
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={folder}/profile", "--window-size={},{}".format(*SIZE)]
        subprocess.run(
            [*command, f"--screenshot={ASSETS / 'social.png'}", page.as_uri()], check=True
        )


if __name__ == "__main__":
    main()

"""A graph in Netron, as `ssmq view` serves it, in headless Chromium: for docs/netron.png and the test of `ssmq view`.

python scripts/netron_picture.py runs/default/sequence-dataflow.onnx DiagonalScan_blocks.0.ssm docs/netron.png
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait

INSTALL = "apt-get install chromium chromium-driver"
SECONDS = 60


def available() -> bool:
    """Whether Chromium and its driver are installed."""
    return all(shutil.which(name) for name in ("chromium", "chromedriver"))


@contextmanager
def viewed(file: Path) -> Iterator[webdriver.Chrome]:
    """The page of ``file``, its graph drawn; server and browser end with the block."""
    command = [str(Path(sys.executable).parent / "ssmq"), "view", str(file), "--no-browser", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"):
        options.add_argument(argument)
    page = None
    try:
        address = next(found[0] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        page = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        page.get(address)
        wait = WebDriverWait(page, SECONDS)
        # Netron asks for consent to cookies, once a browser profile.
        wait.until(lambda p: [b for b in p.find_elements(By.TAG_NAME, "button") if b.text == "Accept"])[0].click()
        wait.until(lambda p: p.find_elements(By.CSS_SELECTOR, "g.node"))
        yield page
    finally:
        if page is not None:
            page.quit()
        server.terminate()
        server.communicate()


def node_names(page: webdriver.Chrome) -> set[str]:
    """Names of the nodes that the page shows."""
    found = page.execute_script("return [...document.querySelectorAll('g.node')].map(node => node.id)")
    return {name.removeprefix("node-name-") for name in found if name.startswith("node-name-")}


def show_names(page: webdriver.Chrome) -> None:
    """Netron's View, Show Names."""
    drawn = page.find_element(By.CSS_SELECTOR, "g.node")
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.CONTROL + "u")
    wait = WebDriverWait(page, SECONDS)
    wait.until(staleness_of(drawn))
    wait.until(lambda p: p.find_elements(By.CSS_SELECTOR, "g.node"))


def select(page: webdriver.Chrome, node: str) -> set[str]:
    """Click ``node``; names and values of the properties that Netron then shows."""
    item = page.find_element(By.CSS_SELECTOR, f"[id='node-name-{node}'] g.node-item")
    ActionChains(page).move_to_element(item).click().perform()
    values = "return [...document.querySelectorAll('input')].flatMap(field => [field.title, field.value])"
    text = "return [...document.querySelectorAll('.sidebar-item-value, .sidebar-item-name')].map(e => e.innerText)"
    wait = WebDriverWait(page, SECONDS)
    wait.until(lambda p: "ATTRIBUTES" in p.find_element(By.TAG_NAME, "body").text)
    found = [*page.execute_script(values), *page.execute_script(text)]
    return {part for one in found if one for part in [one, *one.split()]}


def main(graph: Path, node: str, picture: Path) -> None:
    """Write the picture of ``graph`` with ``node`` selected."""
    with viewed(graph) as page:
        show_names(page)
        select(page, node)
        page.save_screenshot(str(picture))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

"""The page, served by the program, and a browser to look at it."""

import os
import re
import select
import shutil
import tempfile
from contextlib import contextmanager

import pytest

from tests.plant import Plant


class Site:
    """The program's page on a plant."""

    def __init__(self, plant, process):
        self.plant = plant
        self.process = process
        self.address = re.search(r"http://\S+/", self._line())[0]
        self.port = int(self.address.split(":")[2].split("/")[0])
        self.token = self.address.split("/")[3]

    def _line(self):
        assert select.select([self.process.stdout], [], [], 30)[0], "the program does not say where it serves"
        return self.process.stdout.readline()


@contextmanager
def served(plant):
    """The page on the sample data, after a first run."""
    plant.run("setup.py")
    plant.command("run")
    process = plant.start("pipeline/__main__.py", "inspect")
    yield Site(plant, process)
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture
def site(plant):
    """A page of the test's own."""
    with served(plant) as site:
        yield site


@pytest.fixture(scope="module")
def shared_site(mongo_uri, tmp_path_factory):
    """A page that tests share which change nothing."""
    home = tmp_path_factory.mktemp("site")
    plant = Plant(home, mongo_uri, f"test-{home.name}")
    with served(plant) as site:
        yield site
    plant.client.drop_database(f"test-{home.name}")
    plant.client.close()


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, headless, driven by selenium."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail("REQUIRE_CHROMIUM is set, but there is no chromium or no chromedriver")
        pytest.skip("no chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        for argument in (
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "window-size=1200,900",
            f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{argument}")
        page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        page.implicitly_wait(0)
        yield page
        page.quit()

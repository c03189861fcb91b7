"""How tests visit the page: over HTTP, and in a browser."""

import http.client
import re
from urllib.parse import urlencode

from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from pipeline.deadletters import DeadLetterOffice, Filters


def ask(site, path="", *, method="GET", host=None, form=None, headers=None, prefix=None):
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    try:
        said = {"Host": host or f"127.0.0.1:{site.port}", **(headers or {})}
        body = None
        if form is not None:
            method, body = "POST", urlencode(form)
            said["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, f"{prefix or '/' + site.token}/{path}", body, said)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def form_token(site):
    return re.search(r'name="form_token" value="([^"]+)"', ask(site, "retry")[2])[1]


def letter_id(site, locator=None, *, flow=None):
    letters = DeadLetterOffice(site.plant.home / "data/dead-letter").find(Filters(flow=flow))
    return next(filed.id for filed in letters if locator in (None, filed.letter.locator))


def follow(browser, element):
    """Click on what leads to another page, and wait for that page."""
    here = browser.find_element(By.TAG_NAME, "html")
    element.click()
    WebDriverWait(browser, 30).until(staleness_of(here))


def press(browser, button):
    follow(browser, browser.find_element(By.XPATH, f"//button[contains(., '{button}')]"))

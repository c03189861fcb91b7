"""Everybody can use the page: axe-core finds nothing, colours have contrast, keys reach all, narrow screens hold it."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from pipeline.history.journal import Journal, last_runs, new_run
from pipeline.web import site as web
from tests.web.visiting import ask, form_token, letter_id

AXE = Path(__file__).parent / "axe/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CSS = (web.HERE / "style.css").read_text()


@pytest.fixture(scope="module")
def paths(shared_site):
    """Each of the page's pages, by what is to be seen there."""
    plant, one, long = shared_site.plant, letter_id(shared_site, "bad-schema.json"), "long" * 50
    form = {"form_token": form_token(shared_site), "payload": '{"id": 902,\n "status": "DONE"}'}
    assert ask(shared_site, f"letters/{one}/mend", form=form)[0] == 303
    plant.orders.insert_one({"number": 77, "status": "odd"})
    plant.put(f"{long}.json", {"id": "long" * 100, "status": "long" * 100, "long" * 30: 1})
    plant.command("run")
    (past,) = last_runs(plant.home / "data/runs.jsonl", 1)
    now = new_run("run")  # one is under way, for as long as these tests take
    told = now.began + timedelta(hours=1)
    Journal(plant.home / "data/runs.jsonl").write(
        replace(now, told=told, flows=[replace(flow, done=1, total=4, unit="files") for flow in past.flows])
    )
    ours = letter_id(shared_site, flow="erp_json.outbound")
    return {
        "overview": "",
        "letters": "letters",
        "some letters": "letters?stage=parse",
        "no letters": "letters?reason=nothing-like-that",
        "a letter, mended": f"letters/{one}",
        "a letter of TracOS": f"letters/{ours}",
        "retry": "retry",
        "orders": "orders",
        "an order": "orders?number=103",
        "a long letter": f"letters/{letter_id(shared_site, f'{long}.json')}",
        "a long order": f"orders?number={long}",
        "no order": "orders?number=nobody",
        "conflicts": "conflicts",
        "runs": "runs",
        "a run": f"runs/{past.run}",
        "the run under way": f"runs/{now.run}",
        "refused": "runs/none",
    }


PAGES = (
    *("overview", "letters", "some letters", "no letters", "a letter, mended", "a letter of TracOS", "retry"),
    *(
        "orders",
        "an order",
        "a long letter",
        "a long order",
        "no order",
        "conflicts",
        "runs",
        "a run",
        "the run under way",
        "refused",
    ),
)


def shown(browser, site, path, width=1280, scheme="light"):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    browser.get(site.address + path)


def found(browser):
    """What axe-core finds: the rule, and where."""
    browser.execute_script(AXE.read_text())
    browser.set_script_timeout(60)
    told = browser.execute_async_script(
        "axe.run(document, {runOnly: arguments[0], resultTypes: ['violations']})"
        ".then(told => arguments[1](JSON.stringify(told.violations)), error => arguments[1](JSON.stringify([error])))",
        RULES,
    )
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in json.loads(told)]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(shared_site, paths, browser, width, scheme):
    assert set(paths) == set(PAGES)
    for name in PAGES:
        shown(browser, shared_site, paths[name], width, scheme)
        assert found(browser) == [], name
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, name


@pytest.mark.slow
def test_axe_is_heard(shared_site, browser):
    shown(browser, shared_site, "orders")
    browser.execute_script("document.getElementById('number').labels[0].replaceWith(document.createElement('input'))")
    assert "label" in [rule for rule, _ in found(browser)]


@pytest.mark.slow
def test_keys_reach_everything_in_its_order_and_it_shows_where_one_is(shared_site, paths, browser):
    shown(browser, shared_site, paths["a letter, mended"])
    can_be_reached = (
        "a[href], button, input:not([type=hidden]), select, textarea:not([hidden]), summary, [tabindex='0']"
    )
    wanted = browser.find_elements(By.CSS_SELECTOR, can_be_reached)
    reached = []
    for _ in wanted:
        browser.switch_to.active_element.send_keys(Keys.TAB)
        here = browser.switch_to.active_element
        reached.append(here)
        style = browser.execute_script("const s = getComputedStyle(arguments[0]); return s.outlineStyle", here)
        assert style == "solid", here.get_attribute("outerHTML")[:100]
    assert reached == wanted
    browser.switch_to.active_element.send_keys(Keys.TAB)
    shown(browser, shared_site, "")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "main"


@pytest.mark.slow
def test_without_a_script_all_is_there_and_with_it_figures_change_by_themselves(shared_site, paths, browser):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    shown(browser, shared_site, "")
    texts = [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".running dd")]
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert texts[0].isdecimal()
    shown(browser, shared_site, "")
    place = browser.find_element(By.CSS_SELECTOR, "[data-says$='.read']")
    (run,) = last_runs(shared_site.plant.home / "data/runs.jsonl", 1)
    more = replace(run.flows[0], read=4321, done=3)
    Journal(shared_site.plant.home / "data/runs.jsonl").write(replace(run, flows=(more,)))
    WebDriverWait(browser, 20).until(lambda _: place.text == "4,321")
    assert browser.find_element(By.TAG_NAME, "progress").get_property("value") == 3


class TestColours:
    """What axe-core leaves out: what controls are outlined with, and bars."""

    @staticmethod
    def schemes():
        blocks = re.findall(r":root \{([^}]*)\}", CSS)[:2]
        light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks)
        return {"light": light, "dark": {**light, **dark}}

    @staticmethod
    def contrast(one, other):
        """Source: WCAG 2.2, relative luminance and contrast ratio."""

        def luminance(colour):
            parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
            red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue

        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_what_controls_and_charts_are_drawn_with_has_3_to_1(self, scheme):
        colours = self.schemes()[scheme]
        for name in ("edge", "accent", "bad", "good", "odd"):
            for ground in ("card", "paper"):
                assert self.contrast(colours[name], colours[ground]) >= 3, (name, ground)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_has_4_5_to_1_on_whatever_it_lies(self, scheme):
        colours = self.schemes()[scheme]
        pairs = [
            (text, ground) for text in ("ink", "soft", "accent", "bad", "good", "odd") for ground in ("card", "paper")
        ]
        pairs += [("bad", "tint-bad"), ("good", "tint-good"), ("odd", "tint"), ("accent", "tint"), ("ink", "tint")]
        pairs += [("on-accent", "accent"), ("ink", "tint-odd"), ("ink", "tint-bad"), ("ink", "tint-good")]
        pairs += [("soft", "tint-bad"), ("soft", "tint-good")]
        assert [(text, ground) for text, ground in pairs if self.contrast(colours[text], colours[ground]) < 4.5] == []

    def test_controls_are_outlined_with_what_was_checked(self):
        (rule,) = re.findall(r"(?m)^input, select, textarea, button, \.button \{(.*)\}$", CSS)
        assert "border: 1px solid var(--edge)" in rule

"""Looks at report pages in headless Chromium: test_page.py FOLDER, with page.html, baseline.html, hostile.html, curves.html,
theory.html and run/run.db in it, made by test_page.sh. Exits 1 at the first thing that does not hold."""
import json
import os
import re
import sqlite3
import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

OPEN = '<script type="application/json" id="data">\n'
NAMED_ROLES = {"button", "link", "textbox", "searchbox", "combobox", "slider", "img", "image", "tree", "treeitem", "listbox", "option",
               "navigation", "region", "figure", "heading"}
# The contrast of text. Colours are blended from the page up; returns the elements below WCAG's AA.
CONTRAST = """
const context = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d', {willReadFrequently: true});
const rgba = (colour) => { context.clearRect(0, 0, 1, 1); context.fillStyle = '#000'; context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
    const d = context.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
const over = (top, share, under) => under.map((v, i) => top[i] * share + v * (1 - share));
const light = (c) => { const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const background = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
        const style = getComputedStyle(e);
        if (e.matches('g.tag')) layers.push(rgba(getComputedStyle(e.querySelector('rect')).fill));
        else if (e.matches('g.card')) {
            const wash = e.querySelector('.wash'), paint = rgba(getComputedStyle(wash).fill);
            layers.push([...paint.slice(0, 3), Number(getComputedStyle(wash).opacity)], rgba(getComputedStyle(e.querySelector('.paper')).fill));
        } else if (!(e instanceof SVGElement)) layers.push(rgba(style.backgroundColor));
    }
    return layers.reverse().reduce((under, layer) => over(layer, layer[3], under), [255, 255, 255]);
};
const bad = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
    if (!node.data.trim() || e.closest('script,style,noscript,.unseen,.katex-mathml,[hidden],.unborn,option') || box.width < 2 || style.visibility !== 'visible' ||
        !e.checkVisibility()) continue;
    seen++;
    const under = background(e), paint = rgba(e instanceof SVGElement ? style.fill : style.color), text = over(paint, paint[3], under);
    const [a, b] = [light(text), light(under)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.push(`${ratio.toFixed(2)} ${e.tagName}.${e.getAttribute('class')} "${node.data.slice(0, 40)}"`);
}
return [seen, bad.slice(0, 12)];
"""
# Every moment of every replay: its numbers are those of docs/method.md 2.5 and 2.6, computed here from the rewards.
REPLAYS = """
const data = JSON.parse(document.getElementById('data').textContent);
let moments = 0, worst = 0;
for (const tree of data.trees) {
    if (!tree.replay) continue;
    const nodes = unpackTree(tree, data.tree_columns), N = nodes.map(() => 0), V = nodes.map(() => 0);
    const Q = nodes.map((node) => node.parent ? node.R - node.parent.R : 0);
    let made = 1;
    for (let count = 0; count <= tree.replay.length; count++) {
        const moment = replayTo(nodes, tree.replay, count), where = ' of tree ' + tree.tree + ' after ' + count;
        if (moment.made !== made) return [moments, moment.made + ' nodes, not ' + made + where];
        for (let i = 0; i < made; i++) {
            if (moment.N[i] !== N[i]) return [moments, 'N of node ' + i + where];
            if (i > 0) worst = Math.max(worst, Math.abs(moment.Q[i] - Q[i]));
        }
        moments++;
        if (count === tree.replay.length) break;
        const [root, leaf, fresh] = tree.replay[count];
        made += fresh;
        for (let at = nodes[leaf]; at; at = at.parent) {
            const children = at.children.filter((child) => child.id < made);
            children.forEach((child) => { Q[child.id] = child.R - at.R + V[child.id]; });
            const visits = children.reduce((sum, child) => sum + N[child.id], 0);
            if (visits) V[at.id] = children.reduce((sum, child) => sum + N[child.id] * Q[child.id], 0) / visits;
            N[at.id]++;
            if (at.id === root) break;
        }
    }
}
return [moments, worst];
"""
# The same for a search that counts its root twice.
TWICE = """
const nodes = unpackTree({nodes: [[-1, '', 4, 0], [0, 'a', 2, 0.75], [0, 'b', 0, -0.5]]}, ['parent', 'text', 'N', 'Q']);
return [0, 1, 2].map((count) => replayTo(nodes, [[0, 1, 2, [2, 0]], [0, 1, 0, 500, [2, 0]]], count)).map((m) => [m.made, ...m.N, ...m.Q]);
"""


class Failed(Exception):
    pass


def need(fact, words):
    if not fact:
        raise Failed(words)


def start():
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", "--force-prefers-reduced-motion"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("chromedriver"), options=options)
    driver.set_page_load_timeout(60)
    return driver


class Page:
    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder

    def open(self, name, width, theme="light"):
        self.name, self.width = f"{name} at {width}, {theme}", width
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", dict(width=width, height=844 if width < 500 else 1000, deviceScaleFactor=1, mobile=False))
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dict(features=[dict(name="prefers-color-scheme", value=theme), dict(name="prefers-reduced-motion", value="reduce")]))
        self.driver.get("file://" + os.path.join(self.folder, name))
        self.wait("document.readyState === 'complete'")
        if self.js("return (JSON.parse(document.getElementById('data').textContent).trees || []).length > 0"):
            self.wait("document.querySelector('.card')")

    def js(self, code, *args):
        return self.driver.execute_script(code, *args)

    def wait(self, what):
        for _ in range(200):
            if self.js(f"return Boolean({what})"):
                return
            time.sleep(0.05)
        raise Failed(f"waited in vain for {what}")

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def silent(self):
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        need(not said, f"the console says: {said[:3]}")
        need(self.js("return window.struck") is None, "a string of the data was run as code")

    def fits(self):
        wide = self.js("return [document.documentElement.scrollWidth, innerWidth]")
        need(wide[0] <= wide[1], f"the page is {wide[0]} wide on {wide[1]}")

    def press(self, element):
        element = self.one(element) if isinstance(element, str) else element
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def keys(self, *keys):
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def selected(self):
        return self.js("const e = document.querySelectorAll('.card[aria-selected=true]'); return e.length === 1 ? Number(e[0].id.split('-')[2]) : -1")


def sections(page):
    for name in ("result", "tree", "compute", "watch", "judge", "answers", "recipe"):
        words = page.js("const e = document.getElementById(arguments[0]); return e ? e.innerText : ''", name)
        need(len(words) > 30, f"section {name} is empty: {words!r}")
        need("could not be drawn" not in words, f"section {name}: {words[:200]}")


def charts(page, least):
    drawn = page.js("return Array.from(document.querySelectorAll('figure.chart'), (f) => [f.querySelector('.title').textContent, "
                    "f.querySelectorAll('svg .mark, .plot path.line[d]').length, f.querySelectorAll('.tick').length, f.querySelectorAll('tbody tr').length, "
                    "/NaN|undefined|Infinity/.test(f.innerHTML)])")
    need(len(drawn) >= least, f"{len(drawn)} charts instead of at least {least}")
    for title, marks, ticks, rows, broken in drawn:
        need(marks >= 1 and ticks >= 3 and rows >= 1 and not broken, f"chart {title!r}: {marks} marks, {ticks} ticks, {rows} rows of numbers, broken: {broken}")


def names(page, needed=("button", "link", "slider", "tree", "treeitem", "listbox", "option")):
    """Accessible names as Chromium computes them, headings in order, ids once."""
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = {}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if node.get("ignored") or role not in NAMED_ROLES:
            continue
        found[role] = found.get(role, 0) + 1
        need((node.get("name", {}).get("value") or "").strip(), f"a {role} without a name: {json.dumps(node)[:300]}")
    for role in needed:
        need(found.get(role) or (role in ("listbox", "option") and page.width < 760), f"nothing has the role {role}: {found}")
    levels = page.js("return Array.from(document.querySelectorAll('h1,h2,h3,h4')).filter((h) => h.checkVisibility()).map((h) => Number(h.tagName[1]))")
    need(levels[0] == 1 and levels.count(1) == 1, f"headings {levels}")
    twice = page.js("const ids = Array.from(document.querySelectorAll('[id]'), (e) => e.id); return ids.filter((id, i) => ids.indexOf(id) !== i)")
    need(not twice, f"ids that are there twice: {twice}")
    need(page.js("return document.querySelectorAll('main, nav, header, footer').length") == 4, "landmarks")


def contrast(page):
    seen, bad = page.js(CONTRAST)
    need(seen > 60, f"only {seen} texts were found")
    need(not bad, f"too little contrast: {bad}")


def walking(page):
    """A click selects, the arrow keys walk, Enter opens, Escape closes, the wheel zooms."""
    tree = page.one("svg.tree")
    page.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", tree)
    page.press("button[aria-label='Whole tree']")
    parents = page.js("const data = JSON.parse(document.getElementById('data').textContent); const at = (data.tree_columns).indexOf('parent');"
                      "const chosen = document.querySelector('[role=option][aria-selected=true]') || {id: 'tree-item-' + arguments[0]};"
                      "return data.trees[Number(chosen.id.split('-')[2])].nodes.map((row) => row[at])", 0) if page.width >= 760 else None
    card = page.all(".card:not(.problem)")[0]
    page.js("arguments[0].querySelector('.words').setAttribute('data-probe', '1')", card)
    ActionChains(page.driver).move_to_element(card).click().perform()
    first = int(card.get_attribute("id").split("-")[2])
    need(page.selected() == first, f"a click on node {first} selected {page.selected()}")
    side = page.one(".side")
    need(side.is_displayed() and "log-prob" in side.text, "the click showed no details")
    page.js("arguments[0].focus()", tree)
    page.keys(Keys.ARROW_LEFT)
    need(page.selected() == 0, f"left of node {first} is {page.selected()}, not the root")
    page.keys(Keys.ARROW_RIGHT)
    child = page.selected()
    need(child > 0 and (parents is None or parents[child] == 0), f"right of the root is {child}")
    page.keys(Keys.ARROW_DOWN)
    below = page.selected()
    page.keys(Keys.ARROW_UP)
    again = page.selected()
    page.keys(Keys.ARROW_UP)
    above = page.selected()
    need(len({child, below, above}) > 1, "up and down do not walk to a sibling")
    need(again == child or below == child, f"up does not undo down: {child}, {below}, {again}")
    need(page.js("return document.activeElement.getAttribute('aria-activedescendant')").endswith(f"-{page.selected()}"), "the tree's active descendant is another node")
    page.keys(Keys.ENTER)
    need(page.js("return document.activeElement.tagName === 'H3' && document.activeElement.closest('.side') !== null"), "Enter does not go to the details")
    page.keys(Keys.ESCAPE)
    need(page.js("return document.activeElement === arguments[0]", tree) and not side.is_displayed(), "Escape does not close the details")
    before = page.js("return d3.zoomTransform(arguments[0]).k", tree)
    ActionChains(page.driver).scroll_from_origin(webdriver.common.actions.wheel_input.ScrollOrigin.from_element(tree), 0, -300).perform()
    need(page.js("return d3.zoomTransform(arguments[0]).k", tree) > before, "the wheel does not zoom")


def touching(page):
    """A finger taps and drags."""
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    page.open("page.html", 390)
    tree = page.one("svg.tree")
    page.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", tree)
    page.press("button[aria-label='Whole tree']")
    target = page.js("const cards = document.querySelectorAll('.card:not(.problem):not(.selected)'), b = cards[cards.length - 1].querySelector('.paper').getBoundingClientRect();"
                     "return [Number(cards[cards.length - 1].id.split('-')[2]), b.x + b.width / 2, b.y + b.height / 2]")

    def finger(kind, x=None, y=None):
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if x is None else [{"x": x, "y": y}]})
    finger("touchStart", *target[1:])
    finger("touchEnd")
    time.sleep(0.4)
    need(page.selected() == target[0], f"a tap on node {target[0]} selected {page.selected()}")
    page.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", tree)
    box = page.js("const b = arguments[0].getBoundingClientRect(); return [b.x + b.width / 2, b.y + 30]", tree)
    before = page.js("return d3.zoomTransform(arguments[0]).x", tree)
    finger("touchStart", *box)
    for step in range(1, 6):
        finger("touchMove", box[0] - 12 * step, box[1])
    finger("touchEnd")
    moved = page.js("return d3.zoomTransform(arguments[0]).x", tree) - before
    need(moved < -30, f"a drag of 60 moved the tree by {moved}")
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def replaying(page):
    moments, worst = page.js(REPLAYS)
    need(moments > 20 and isinstance(worst, (int, float)) and worst < 6e-4, f"{moments} moments of replays, worst difference {worst}")
    need(page.js(TWICE) == [[1, 0, 0, 0, 0, None, None], [3, 2, 1, 0, 0, 0.25, -0.5], [3, 4, 2, 0, 0, 0.75, -0.5]], page.js(TWICE))
    words = page.one(".moment")
    last = int(page.one(".replay input").get_attribute("max"))
    need(last > 1, "the first tree has no replay")
    page.js("document.querySelectorAll('.card')[1].dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    numbers_of = "return Array.from(document.querySelectorAll('.side dd'), (e) => e.textContent).slice(0, 2)"
    need("\u2013" not in page.js(numbers_of), "a step of the finished tree has no numbers")
    page.js("const s = document.querySelector('.replay input'); s.value = 0; s.dispatchEvent(new Event('input'))")
    need(page.js("return document.querySelectorAll('.card:not(.unborn)').length") == 1, "before the first simulation there is more than the root")
    need("Not made yet" in page.one(".side .fate").text and page.js(numbers_of) == ["0", "\u2013"], "a step has numbers before it is made")
    page.press(".side .close")
    page.press("button[aria-label='One simulation forward']")
    need(words.text.startswith(f"Simulation 1 of {last}"), words.text)
    need(page.js("return document.querySelectorAll('.card:not(.unborn)').length") > 1, "the first simulation made no step")
    page.press("button[aria-label='One simulation back']")
    need("Before the first" in words.text, words.text)
    page.press("button[aria-label='Play the search']")
    page.wait("Number(document.querySelector('.replay input').value) >= 2")
    if page.all("button[aria-label='Pause']"):
        page.press("button[aria-label='Pause']")
    at = page.js("return document.querySelector('.replay input').value")
    time.sleep(1)
    need(page.js("return document.querySelector('.replay input').value") == at, "Pause does not pause")
    page.js(f"const s = document.querySelector('.replay input'); s.value = {last}; s.dispatchEvent(new Event('input'))")
    need("finished tree" in words.text and not page.all(".card.unborn"), words.text)


def choosing(page):
    """The list: search, arrows."""
    if page.width < 760:
        page.press(".chooser > summary")
    total = len(page.all("[role=option]"))
    field = page.one(".finder input[type=search]")
    field.send_keys("no problem says this")
    need(len(page.all("[role=option]")) == 0 and page.one(".found").text.startswith("0 of"), "a search for nothing finds something")
    field.clear()
    field.send_keys("a", Keys.BACKSPACE)
    need(len(page.all("[role=option]")) == total > 1, "the list does not come back")
    page.js("document.querySelector('.trees').focus()")
    page.keys(Keys.HOME)
    first = page.one("[role=option][aria-selected=true]").get_attribute("id")
    page.keys(Keys.ARROW_DOWN)
    need(page.one("[role=option][aria-selected=true]").get_attribute("id") != first, "the arrow does not go to the next tree")
    outline = page.one(".explorer details.numbers")
    page.press(outline.find_element(By.TAG_NAME, "summary"))
    page.wait("document.querySelectorAll('.outline li').length > 0")
    need(len(page.all(".outline li")) == len(page.all(".card")), "the list of the tree has not as many steps as the picture")


def theme(page):
    colour = "return getComputedStyle(document.body).backgroundColor"
    before, button = page.js(colour), page.one("#theme")
    pressed = button.get_attribute("aria-pressed")
    page.js("scrollTo(0, 0)")
    button.click()
    need(page.js(colour) != before and button.get_attribute("aria-pressed") != pressed, "the theme does not change")
    contrast(page)
    button.click()
    need(page.js(colour) == before, "the theme does not change back")
    page.js("localStorage.clear()")


def numbers(page, folder):
    """The page says what SQL says."""
    db = sqlite3.connect(f"file:{folder}/run/run.db?mode=ro", uri=True)
    rows = db.execute("SELECT iteration, 100.0 * right / problems FROM evals WHERE method = 'greedy' AND problem_set = 'test' ORDER BY iteration").fetchall()
    told = page.js("return Array.from(document.querySelectorAll('.before-after')[0].querySelectorAll('strong'), (e) => e.textContent)")
    wanted = [f"{value:.1f}%" for _, value in (rows[0], rows[-1])]
    need(told == wanted, f"the page says {told}, run.db {wanted}")
    table = page.js("return Array.from(document.querySelector('#result tbody').rows, (r) => [r.cells[0].textContent, r.cells[1].textContent])")
    need(table == [[str(i), f"{value:.1f}%"] for i, value in rows], f"the table says {table}, run.db {rows}")
    trees = db.execute("SELECT count(*) FROM trees").fetchone()[0]
    need(page.js("return document.querySelector('.found').textContent") == f"{trees} trees", "the number of trees")
    shown = page.js("return Object.fromEntries(Array.from(document.querySelectorAll('.provenance > div'), (e) => [e.children[0].textContent, e.children[1].textContent]))")
    for name, table in ("Trees searched", "trees"), ("Preference pairs", "pairs"):
        need(shown[name] == f"{db.execute('SELECT count(*) FROM ' + table).fetchone()[0]:,}", f"{name}: {shown[name]}")


def harmless(page):
    need(page.js("return document.querySelectorAll('script').length === document.querySelectorAll('body > script, head > script').length"), "a script got in")
    need(not page.all("[onerror], [onload], a[href^='javascript'], img, iframe, object"), "an element of the data got in")
    text = page.js("return document.body.innerText + Array.from(document.querySelectorAll('svg text, [aria-label]'), (e) => e.textContent + e.getAttribute('aria-label')).join(' ')")
    found = re.findall("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]", text)
    need(not found, f"characters that should have been made visible: {set(found)}")
    return text


def made(folder, name, data, raw=None):
    """page.html with other data, escaped as the program does it."""
    with open(os.path.join(folder, "page.html"), encoding="utf-8") as source:
        head, rest = source.read().split(OPEN, 1)
    tail = rest[rest.index("</script>"):]
    text = json.dumps(data) if raw is None else raw
    for character in "<>&":
        text = text.replace(character, "\\u%04x" % ord(character))
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        out.write(head + OPEN + text + "\n" + tail)


def data_of(folder):
    with open(os.path.join(folder, "page.html"), encoding="utf-8") as source:
        return json.loads(source.read().split(OPEN, 1)[1].split("</script>", 1)[0])


def spoilt(value, strings):
    """The same data with each string replaced by the next hostile one."""
    if isinstance(value, dict):
        return {key: item if key in ("tree_columns", "phase", "method", "level", "change", "set") else spoilt(item, strings) for key, item in value.items()}
    if isinstance(value, list):
        return [spoilt(item, strings) for item in value]
    return next(strings) if isinstance(value, str) else value


def hostile_strings():
    wide = "\u2028</script><b>" + "wide" * 262144
    while True:
        yield from ("</script><script>window.struck=1</script>", "<img src=x onerror=window.struck=2>", "\ud800 half \udc00", "\u202eabc\u0000\u0007\u009b",
                    "\u05d0\u05d1 <b>bold</b>", "__proto__", "$&$1", "\n")
        yield wide
        wide = "<i>" * 50


def big(data):
    """500 trees of 200 nodes, shaped as trees are."""
    nodes = [[-1, "", 40, 0, 0, 0, 0, 1, None, 0, 4]]
    for i in range(1, 200):
        parent = (i - 1) // 3
        nodes.append([parent, f"Step {i}: there are {i} apples and {i + 3} pears, so {2 * i + 3} in all.", 40 // (1 + i // 8), 0.5, 0.1, 0.5, -9.5, 0.4, 0.5, 0, 16])
    tree = {"problem": 0, "name": "big", "question": "How many apples are there when each of the children has some more of them?", "gold": "7", "outcome": 1,
            "simulations": 40, "nodes": nodes, "commits": [[0, 0, 1, 1, 2], [1, 1, 4, 4, 5]], "replay": None}
    return {**data, "tree_columns": ["parent", "text", "N", "Q", "V", "R", "logprob", "prior", "C", "O", "flags"],
            "trees": [{**tree, "tree": i, "problem": i, "iteration": i % 5 + 1} for i in range(500)]}


def quick(page, folder):
    """500 trees of 200 nodes: main-thread time until the first tree is drawn, so that a busy machine does not count."""
    made(folder, "big.html", big(data_of(folder)))
    size = os.path.getsize(os.path.join(folder, "big.html"))
    need(size < 15e6 and size > 8e6, f"the page of 500 trees has {size} bytes")
    page.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    best = 1e9
    for _ in range(2):
        page.driver.get("about:blank")
        before = {m["name"]: m["value"] for m in page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
        page.open("big.html", 1400)
        after = {m["name"]: m["value"] for m in page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
        best = min(best, after["TaskDuration"] - (before["TaskDuration"] if before["TaskDuration"] < after["TaskDuration"] else 0))
    need(len(page.all(".card")) == 200 and len(page.all("[role=option]")) == 500, "the big page is not whole")
    need(best < 2, f"500 trees of 200 nodes take {best:.2f} s to open")
    print(f"500 trees of 200 nodes: {size / 1e6:.1f} MB, open in {best:.2f} s of the main thread")


def theory(page):
    """A figure for five of the six tables, and every value of the data in a row of its own."""
    for width in (1400, 390):
        for scheme in ("light", "dark"):
            page.open("theory.html", width, scheme)
            charts(page, 5), page.fits(), names(page, ("button", "link", "figure", "region")), contrast(page), page.silent()
    data = page.js("return JSON.parse(document.getElementById('data').textContent)")
    need([s.get_attribute("id") for s in page.all("main > section")] == ["result"] + [t["name"] for t in data["tables"]], "the sections are not the tables")
    need(str(data["values"]) in page.one(".lead").text, "the number of values is not said")
    for table in data["tables"]:
        shown = [row.text for row in page.all(f"#{table['name']} > .scroll tbody tr, #{table['name']} .pair > div:last-child tbody tr")]
        for v in table["values"]:
            words = v["at"] + " "
            need(any(row.startswith(words) and f"{v['computed']:.6f}".replace("-0.000000", "0.000000") in row for row in shown), f"{table['name']}: {v['quantity']} at {v['at']} is not in the table")


def curves(page):
    """Both runs' checkpoints together, then two charts per run; the report has the same two."""
    report = page.js("return JSON.parse(document.getElementById('data').textContent).curves.curves")
    for width in (1400, 390):
        for scheme in ("light", "dark"):
            page.open("curves.html", width, scheme)
            charts(page, 5), page.fits(), names(page, ("button", "link", "figure")), contrast(page), page.silent()
    need("<b>again</b>" in page.one("main").text and not page.all("main b"), "a label is markup")
    data = page.js("return JSON.parse(document.getElementById('data').textContent)")
    need([run["curves"] for run in data["runs"]] == [report, report], "the report's curves are others")
    for i, run in enumerate(data["runs"]):
        rows = len(page.all(f"#run-{i} figure tbody tr"))
        need(rows == sum(len(c["points"]) for c in run["curves"]), f"run {i}: {rows} rows of numbers")


def main(folder):
    driver = start()
    page = Page(driver, folder)
    try:
        for width in (1400, 390):
            for scheme in ("light", "dark"):
                page.open("page.html", width, scheme)
                sections(page), charts(page, 8), page.fits(), names(page), contrast(page), numbers(page, folder)
                walking(page), contrast(page), page.silent()
            replaying(page), choosing(page), theme(page), page.fits(), page.silent()
        touching(page), page.silent()
        curves(page)
        theory(page)
        page.open("baseline.html", 1400)
        need("The same <b>again</b>" in page.one("#result .legend").text, "the baseline is not in the legend")
        charts(page, 8), page.silent()
        for width in (1400, 390):
            page.open("hostile.html", width)
            text = harmless(page)
            need("\u2407" in text and "\u2039U+202E\u203a" in text, "control characters are not shown as symbols")
            maths = 0
            page.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            for item in range(len(page.all("[role=option]"))):
                page.js("document.querySelectorAll('[role=option]')[arguments[0]].click()", item)
                page.js("document.querySelectorAll('.card')[1].dispatchEvent(new MouseEvent('click', {bubbles: true}))")
                maths += len(page.all(".about .katex, .side .katex"))
            need(maths > 0, "no mathematics was set")
            harmless(page), page.fits(), page.silent()
        made(folder, "spoilt.html", spoilt(data_of(folder), hostile_strings()))
        for width in (1400, 390):
            page.open("spoilt.html", width)
            page.js("document.querySelectorAll('button.link').forEach((b) => b.click())")
            harmless(page), page.fits(), page.silent()
            need(page.one("h1").text, "the page has lost its name")
        data = data_of(folder)
        nothing = {key: None for key in data}
        hollow = {**data, "iterations": [{"iteration": 0}, {"iteration": 1, "greedy": None}], "updates": [], "watch": [], "trees": [], "answers": [], "inference": [], "judge": None, "gain": None}
        for name, few in ("empty.html", {}), ("nothing.html", nothing), ("hollow.html", hollow):
            made(folder, name, few)
            page.open(name, 390)
            sections(page), page.fits(), page.silent()
            need(len(page.all(".empty")) >= 6, f"{name} does not say what is missing")
        made(folder, "damaged.html", None, raw='{"run": ')
        page.driver.get("file://" + os.path.join(folder, "damaged.html"))
        need("damaged" in page.one("main").text, "damaged data are not said")
        page.silent()
        quick(page, folder)
    except Failed as failure:
        driver.save_screenshot(os.environ.get("ESPALIER_PAGE_SCREENSHOT", os.path.join(folder, "failed.png")))
        sys.exit(f"{getattr(page, 'name', '')}: {failure}")
    finally:
        driver.quit()


main(os.path.abspath(sys.argv[1]))

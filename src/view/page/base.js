"use strict";
/* Used by the rest of the page: elements, texts from a model or a data set, numbers as words. Strings of the data enter the
   page only as text nodes; nothing sets innerHTML. */

/* el("p", {class: "note"}, "words", otherElement, null): an element. A null attribute or child is left out. */
function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity))
        if (child !== null && child !== undefined) node.append(child);
    return node;
}

function svg(tag, attributes, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes || {}))
        if (value !== null && value !== undefined) node.setAttribute(name, value);
    for (const child of children)
        if (child !== null && child !== undefined) node.append(child);
    return node;
}

function clear(node, ...children) {
    node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return node;
}

/* ---- text from outside ---- */

const HIDDEN = new RegExp("[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u200b\\u200e\\u200f" +
                          "\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]|" +
                          "[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?:[^\\ud800-\\udbff]|^)[\\udc00-\\udfff]", "g");

/* A string in a form that is safe to show: invisible characters and those that change the direction of writing become
   visible (U+0007 becomes ␇, U+202E becomes ‹U+202E›), and half surrogates become U+FFFD. Line ends and tabs stay. */
function visible(text) {
    return String(text).replace(/\r\n/g, "\n").replace(HIDDEN, (match) => {
        const code = match.charCodeAt(match.length - 1);
        if (code >= 0xd800 && code <= 0xdfff) return (match.length > 1 ? match[0] : "") + "\ufffd";
        if (code < 0x20) return String.fromCharCode(0x2400 + code);
        if (code === 0x7f) return "\u2421";
        return "\u2039U+" + code.toString(16).toUpperCase().padStart(4, "0") + "\u203a";
    });
}

/* At most `limit` characters of a text, on one line. Never reads all of a very long text. */
function excerpt(text, limit) {
    const raw = String(text === null || text === undefined ? "" : text);
    const line = visible(raw.slice(0, 4 * limit + 64)).replace(/\s+/g, " ").trim();
    const letters = Array.from(line);
    return letters.length > limit || raw.length > 4 * limit + 64 ? letters.slice(0, limit - 1).join("") + "\u2026" : line;
}

/* Mathematics in a text: \( \), \[ \], $$ $$, and $ $ around something with \, ^ or _ on one line (a
   lone $ is a currency). */
const MATHS = /\\\(([\s\S]+?)\\\)|\\\[([\s\S]+?)\\\]|\$\$([\s\S]+?)\$\$|\$(?=[^$\n]*[\\^_])([^$\n]+)\$/g;

/* The text as nodes: mathematics set by KaTeX if the page contains KaTeX, the rest unchanged. */
function withMaths(text) {
    if (typeof katex === "undefined") return [visible(text)];
    const nodes = [];
    let end = 0;
    for (const match of text.matchAll(MATHS)) {
        const source = match[1] || match[2] || match[3] || match[4];
        const set = el("span", {class: "maths"});
        try {
            katex.render(source, set, {displayMode: Boolean(match[2] || match[3]), throwOnError: true, trust: false,
                                       strict: "ignore", maxSize: 20, maxExpand: 200});
        } catch (error) {
            continue; /* not valid mathematics: keep it as text */
        }
        nodes.push(visible(text.slice(end, match.index)), set);
        end = match.index + match[0].length;
    }
    nodes.push(visible(text.slice(end)));
    return nodes;
}

/* A sentence made by the program: numbers get a true minus sign. */
function sentence(text) {
    return visible(text).replace(/(^|[\s(])-(?=[\d.])/g, "$1\u2212");
}

const SHOWN_AT_FIRST = 1200;

/* A text of the data as a block with its own direction of writing. A long one is cut, with a button for the rest. */
function quoted(text, attributes) {
    const whole = String(text === null || text === undefined ? "" : text).replace(/\n+$/, "");
    const block = el("div", {dir: "auto", ...attributes, class: ("quoted " + ((attributes && attributes.class) || "")).trim()});
    if (whole === "") return clear(block, el("span", {class: "muted"}, "(empty)"));
    if (whole.length <= SHOWN_AT_FIRST * 1.2) return clear(block, withMaths(whole));
    const more = el("button", {type: "button", class: "link", onclick: () => clear(block, visible(whole))},
                    "Show all " + count(whole.length) + " characters");
    return clear(block, visible(whole.slice(0, SHOWN_AT_FIRST)) + "\u2026 ", more);
}

/* The same within a line. */
function named(text, limit) {
    return el("bdi", {class: "named"}, excerpt(text, limit || 80));
}

/* ---- numbers ---- */

function finite(value) {
    return typeof value === "number" && Number.isFinite(value) ? value : null;
}
const minus = (text) => text.replace(/^-/, "\u2212");
function fixed(value, digits) {
    const n = finite(value);
    if (n === null) return "\u2013";
    const text = n.toFixed(digits);
    return minus(Number(text) === 0 ? text.replace("-", "") : text);
}
const tickPercent = (value) => fixed(100 * value, 0) + "%";
function percent(value) {
    return finite(value) === null ? "\u2013" : fixed(100 * value, 1) + "%";
}
function count(value) {
    return finite(value) === null ? "\u2013" : minus(d3.format(",")(Math.round(value)));
}
/* Counts of tokens: 1234567 as 1.23 M. */
function short(value) {
    const n = finite(value);
    if (n === null) return "\u2013";
    if (Math.abs(n) < 1000) return minus(d3.format("~r")(Number(n.toPrecision(3))));
    const text = d3.format(".3~s")(n).replace("G", "B");
    return minus(text.replace(/([a-zA-Z])$/, "\u202f$1"));
}
function significant(value) {
    const n = finite(value);
    if (n === null) return "\u2013";
    if (n !== 0 && (Math.abs(n) < 1e-3 || Math.abs(n) >= 1e6)) return minus(d3.format(".2~e")(n));
    return minus(d3.format(".3~r")(n));
}
function chance(p) {
    const n = finite(p);
    if (n === null) return "";
    return n < 0.001 ? "p < 0.001" : "p = " + fixed(n, n < 0.1 ? 3 : 2);
}
function interval(low, high, as) {
    return finite(low) === null || finite(high) === null ? "" : as(low) + " to " + as(high);
}
function plural(n, one, many) {
    return count(n) + " " + (n === 1 ? one : many || one + "s");
}

/* ---- theme ---- */

const themeListeners = [];
function themeIsDark() {
    const set = document.documentElement.getAttribute("data-theme");
    return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
function onTheme(listener) {
    themeListeners.push(listener);
}
function startTheme(button) {
    const tell = () => {
        button.setAttribute("aria-pressed", String(themeIsDark()));
        themeListeners.forEach((listener) => listener());
    };
    try {
        const kept = localStorage.getItem("espalier-theme");
        if (kept === "dark" || kept === "light") document.documentElement.setAttribute("data-theme", kept);
    } catch (error) { /* a page opened from disk may have no storage */ }
    button.addEventListener("click", () => {
        const next = themeIsDark() ? "light" : "dark";
        document.documentElement.setAttribute("data-theme", next);
        try {
            localStorage.setItem("espalier-theme", next);
        } catch (error) { /* then the choice lasts for this visit */ }
        tell();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
    tell();
}

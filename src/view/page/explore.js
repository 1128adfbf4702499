/* The section of the trees: the list of problems, the picture, the replay, the details of a step. */

const TREE_STATES = [["all", "All"], ["right", "Correct"], ["wrong", "Incorrect"], ["open", "Unfinished"]];

function treeState(stored) {
    return stored.outcome > 0 ? "right" : stored.outcome < 0 ? "wrong" : "open";
}
const STATE_MARK = {right: "\u2713", wrong: "\u2715", open: "\u25cb"};
const STATE_WORDS = {right: "correct", wrong: "incorrect", open: "unfinished"};

/* A list with a search field: one stop for the tab key, arrows inside. choose(index) is called with an index of trees. */
function treeList(trees, choose) {
    const rounds = Array.from(new Set(trees.map((tree) => tree.iteration))).sort(d3.ascending);
    const field = el("input", {type: "search", placeholder: "Search the problems", "aria-label": "Search the problems", autocomplete: "off"});
    const round = el("select", {"aria-label": "Iteration"}, el("option", {value: ""}, "Every iteration"),
        rounds.map((i) => el("option", {value: i}, "Iteration " + i)));
    const state = el("select", {"aria-label": "Outcome"}, TREE_STATES.map(([value, words]) => el("option", {value}, words)));
    const list = el("ul", {class: "trees", role: "listbox", tabindex: "0", "aria-label": "Search trees"});
    const found = el("p", {class: "muted found", role: "status"});
    let shown = [], chosen = -1;
    const words = trees.map((tree) => String((tree.name || "") + " " + (tree.question || "")).slice(0, 4000).toLowerCase());
    const items = trees.map((tree, index) => {
        const kind = treeState(tree), pairs = pairsOf(tree).length;
        return el("li", {role: "option", id: "tree-item-" + index, "aria-selected": "false", onclick: () => take(index)},
            el("span", {class: "state " + kind, "aria-hidden": "true"}, STATE_MARK[kind]),
            el("span", {class: "question"}, named(tree.question || tree.name || "Problem " + tree.problem, 90)),
            el("span", {class: "muted"}, `Iteration ${count(tree.iteration)}, ${STATE_WORDS[kind]}, ${plural(pairs, "pair")}`));
    });
    const mark = () => {
        items.forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
        if (chosen < 0) list.removeAttribute("aria-activedescendant");
        else list.setAttribute("aria-activedescendant", "tree-item-" + chosen);
    };
    const take = (index) => {
        chosen = index;
        mark();
        const item = items[index];
        if (item.parentNode === list && (item.offsetTop < list.scrollTop || item.offsetTop + item.offsetHeight > list.scrollTop + list.clientHeight))
            list.scrollTop = item.offsetTop - 40;
        choose(index);
    };
    const filter = () => {
        const wanted = field.value.trim().toLowerCase();
        shown = trees.map((tree, index) => index).filter((index) => (!wanted || words[index].includes(wanted)) &&
            (round.value === "" || trees[index].iteration === Number(round.value)) &&
            (state.value === "all" || treeState(trees[index]) === state.value));
        clear(list, shown.map((index) => items[index]));
        found.textContent = shown.length === trees.length ? plural(trees.length, "tree") : `${count(shown.length)} of ${plural(trees.length, "tree")}`;
    };
    list.addEventListener("keydown", (event) => {
        const place = shown.indexOf(chosen), last = shown.length - 1;
        const to = {ArrowDown: Math.min(last, place + 1), ArrowUp: Math.max(0, place - 1), Home: 0, End: last}[event.key];
        if (to === undefined || last < 0) return;
        event.preventDefault();
        take(shown[to]);
    });
    [field, round, state].forEach((control) => control.addEventListener("input", filter));
    filter();
    return {node: el("div", {class: "finder"}, el("div", {class: "filters"}, field, rounds.length > 1 ? round : null, state), found, list), take};
}

function fact(name, value, title) {
    return [el("dt", title ? {title} : null, name), el("dd", null, value)];
}

/* The details of one step: its text, the path to it, its numbers, its siblings. */
function detailsOf(node, view, stored, moment, go, close) {
    const N = (other) => (moment ? moment.N[other.id] : other.N), Q = (other) => (moment ? moment.Q[other.id] : other.Q);
    const chip = (other) => el("span", {class: "chip", style: "--q:" + qScale(view.most, themeIsDark())(Q(other) || 0)}, "Q " + fixed(Q(other), 2));
    const way = pathTo(node).slice(1), missing = moment && node.id >= moment.made;
    const link = (other) => el("button", {type: "button", class: "step", onclick: () => go(other)}, quoted(excerpt(other.text, 300) || "(empty step)", {class: "inline"}), chip(other));
    const siblings = node.parent ? node.parent.children.filter((other) => other !== node).sort((a, b) => N(b) - N(a)) : [];
    return [
        el("div", {class: "side-top"}, el("h3", {tabindex: "-1"}, node.parent ? "Step " + node.depth : "The problem"),
            el("button", {type: "button", class: "close", "aria-label": "Close the details", title: "Close", onclick: close}, "\u2715")),
        node.parent ? el("p", {class: "fate"}, missing ? "Not made yet at this moment of the search"
            : nodeWords(node).replace(/^[^,]*(, )?/, "").replace(/^./, (c) => c.toUpperCase()) || "Open: the chain continues") : null,
        quoted(node.parent ? node.text : stored.question, {class: "body"}),
        node.parent ? null : el("p", {class: "muted"}, "Gold answer: ", named(stored.gold === null || stored.gold === undefined ? "not known" : stored.gold, 80)),
        node.parent ? el("dl", {class: "facts"},
            fact("N, visits", count(N(node))), fact("Q, value of taking this step", fixed(Q(node), 3)),
            fact("V, value of what follows", moment ? "\u2013" : fixed(node.V, 3)), fact("R = O + C", fixed(node.R, 3)),
            fact("O, outcome", fixed(node.O, 2)), fact("C, self-evaluation", node.C === null ? "not judged" : fixed(node.C, 3)),
            fact("p, prior", significant(node.prior)), fact("log-prob of the step", fixed(node.logprob, 2))) : null,
        way.length > 1 ? el("details", {open: way.length < 9}, el("summary", null, "The path to this step"), el("ol", {class: "way"}, way.map((other) => el("li", null, link(other))))) : null,
        siblings.length ? el("details", null, el("summary", null, "Alternatives: " + plural(siblings.length, "step")),
            el("ul", {class: "way"}, siblings.map((other) => el("li", null, link(other), el("span", {class: "muted"}, "N " + count(N(other))))))) : null,
    ];
}

/* The tree as nested lists, for screen readers. Made when it is opened. */
function treeAsList(nodes) {
    const make = (node) => el("li", null, el("span", null, nodeWords(node) + ": ", named(node.parent ? node.text : node.question, 300)),
        node.parent ? el("span", {class: "muted"}, ` N ${count(node.N)}, Q ${fixed(node.Q, 2)}, O ${fixed(node.O, 0)}, C ${node.C === null ? "none" : fixed(node.C, 2)}`) : null,
        node.children.length ? el("ul", null, node.children.map(make)) : null);
    return el("ul", {class: "outline"}, make(nodes[0]));
}

/* The replay: buttons, a slider, a sentence. moved(moment or null) is called at each step. */
class Replay {
    constructor(moved, words) {
        this.moved = moved;
        this.words = words;
        const button = (label, mark, act) => el("button", {type: "button", "aria-label": label, title: label, onclick: act}, mark);
        this.play = button("Play the search", "\u25b6", () => (this.timer ? this.stop() : this.start()));
        this.back = button("One simulation back", "\u2039", () => { this.stop(); this.to(this.at - 1); });
        this.forth = button("One simulation forward", "\u203a", () => { this.stop(); this.to(this.at + 1); });
        this.slider = el("input", {type: "range", min: 0, value: 0, "aria-label": "Simulation", oninput: () => { this.stop(); this.to(Number(this.slider.value)); }});
        this.text = el("p", {class: "moment", role: "status"});
        this.node = el("div", {class: "replay"}, el("div", {class: "buttons"}, this.play, this.back, this.slider, this.forth), this.text);
    }

    load(nodes, replay) {
        this.stop();
        this.nodes = nodes;
        this.replay = Array.isArray(replay) ? replay.filter((sim) => Array.isArray(sim) && nodes[sim[0]] && nodes[sim[1]]) : [];
        this.slider.max = this.replay.length;
        this.node.classList.toggle("absent", this.replay.length === 0);
        this.to(this.replay.length);
    }

    to(at) {
        const last = this.replay.length;
        this.at = Math.max(0, Math.min(last, at));
        this.slider.value = this.at;
        this.slider.setAttribute("aria-valuetext", `${this.at} of ${last}`);
        if (last === 0) {
            this.text.textContent = "The order of the simulations is not known, so only the finished tree is shown.";
            return this.moved(null);
        }
        if (this.at === last) {
            this.text.textContent = `The finished tree, after ${plural(last, "simulation")}.`;
            return this.moved(null);
        }
        const moment = replayTo(this.nodes, this.replay, this.at);
        moment.path = new Set();
        moment.roots = new Set([0].concat(this.replay.slice(0, this.at + 1).map((sim) => sim[0])));
        moment.root = this.replay[this.at][0];
        if (this.at > 0) {
            const [root, leaf] = this.replay[this.at - 1];
            for (let node = this.nodes[leaf]; node; node = node.parent) {
                moment.path.add(node.id);
                if (node.id === root) break;
            }
        }
        this.text.textContent = this.sentence();
        return this.moved(moment);
    }

    sentence() {
        if (this.at === 0) return "Before the first simulation: only the problem.";
        const [root, leaf, fresh] = this.replay[this.at - 1], next = this.replay[this.at];
        const steps = this.nodes[leaf].depth - this.nodes[root].depth, end = fate(this.nodes[leaf]);
        const parts = [`Simulation ${this.at} of ${this.replay.length} goes down ${plural(steps, "step")}` + (fresh ? ` and adds ${plural(fresh, "new step")}` : "")];
        parts.push(end.words ? "; the chain is " + end.words : "");
        const committed = next && next[0] !== root ? ` Then the search commits to step ${this.nodes[next[0]].depth} and continues from it.` : "";
        return parts.join("") + "." + committed;
    }

    start() {
        if (this.replay.length === 0) return;
        if (this.at === this.replay.length) this.to(0);
        this.text.setAttribute("aria-live", "off");
        this.play.textContent = "\u275a\u275a";
        this.play.setAttribute("aria-label", "Pause");
        this.timer = setInterval(() => {
            this.to(this.at + 1);
            if (this.at === this.replay.length) this.stop();
        }, Math.max(140, Math.min(700, 18000 / this.replay.length)));
    }

    stop() {
        clearInterval(this.timer);
        this.timer = null;
        this.text.setAttribute("aria-live", "polite");
        this.play.textContent = "\u25b6";
        this.play.setAttribute("aria-label", "Play the search");
    }
}

function treeLegend(most) {
    const bar = el("span", {class: "bar"}), scale = () => qScale(most, themeIsDark());
    const tint = () => { bar.style.background = `linear-gradient(90deg, ${d3.range(-most, most * 1.01, most / 4).map(scale()).join(",")})`; };
    onTheme(tint);
    tint();
    const key = (mark, words) => el("li", null, mark, words);
    const line = svg("svg", {width: 40, height: 14, "aria-hidden": "true"}, svg("path", {d: "M0,6.5L40,1V13Z", class: "wedge"}));
    return el("ul", {class: "key", "aria-label": "How to read the tree"},
        key([el("span", null, "Q "), el("span", null, fixed(-most, 1)), bar, el("span", null, "+" + fixed(most, 1))], null),
        key(line, "visits"),
        key(el("span", {class: "sample trunk"}), "committed path"),
        key([el("span", {class: "sample tag chosen"}, "\u25b2 chosen"), el("span", {class: "sample tag rejected"}, "\u25bd rejected")], "a preference pair"),
        key(el("span", {class: "state right"}, "\u2713"), "correct"),
        key(el("span", {class: "state wrong"}, "\u2715"), "incorrect"),
        key(el("span", {class: "state"}, "\u2702"), "cut"));
}

/* The largest |Q| among visited steps of all trees, so that colours mean the same in every tree. */
function mostQ(trees, columns) {
    const names = columns || COLUMNS, q = names.indexOf("Q"), n = names.indexOf("N");
    let most = 1;
    for (const tree of trees)
        for (const row of tree.nodes || []) if (row[n] > 0 && Math.abs(row[q]) > most) most = Math.abs(row[q]);
    return Math.min(4, Math.ceil(most * 2) / 2);
}

/* The tree to show first: a solved one with pairs and about 28 nodes. */
function firstTree(trees) {
    const worth = (tree) => (tree.outcome > 0 ? 4 : 0) + Math.min(3, pairsOf(tree).length) -
        Math.abs((tree.nodes || []).length - 28) / 20;
    return d3.scan(trees, (a, b) => worth(b) - worth(a)) || 0;
}

function treeSection(data) {
    const trees = Array.isArray(data.trees) ? data.trees.filter((tree) => tree && Array.isArray(tree.nodes) && tree.nodes.length) : [];
    if (!trees.length) return [el("p", {class: "empty"}, "There are no trees: this run has not searched yet, or only evaluates.")];
    const most = mostQ(trees, data.tree_columns);
    const stage = el("div", {class: "stage"}), side = el("section", {class: "side", hidden: true, "aria-label": "Details of the selected step"});
    const again = el("p", {class: "again"}), about = el("div", {class: "about"}), listHolder = el("div");
    const outline = el("details", {class: "numbers"}, el("summary", null, "This tree as a list"), listHolder);
    let nodes = null, stored = null;
    const cover = () => { view.covered = !side.hidden && getComputedStyle(side).position === "absolute" ? side.offsetWidth + 8 : 0; };
    const close = () => {
        side.hidden = true;
        cover();
        view.root.node().focus({preventScroll: true});
    };
    const open = () => {
        side.scrollIntoView({block: "nearest"});
        side.querySelector("h3").focus({preventScroll: true});
    };
    const tell = (node) => clear(side, detailsOf(node, view, stored, view.moment, (other) => view.select(other), close));
    const meet = (node) => {
        side.hidden = false;
        tell(node);
        cover();
    };
    const view = new TreeView(stage, {select: (node) => { meet(node); view.reveal(node); }, open: (node) => { meet(node); view.reveal(node); open(); }}, most);
    const replay = new Replay((moment) => {
        view.paint(moment);
        if (view.selected && !side.hidden) tell(view.selected);
    });
    const choose = (index) => {
        stored = trees[index];
        side.hidden = true;
        cover();
        const kind = treeState(stored), known = stored.gold !== null && stored.gold !== undefined;
        clear(about, quoted(stored.question || stored.name || "Problem " + stored.problem, {class: "asked"}),
            el("p", {class: "muted"}, known ? ["Gold answer: ", named(stored.gold, 60), ". "] : null, "The committed path is ",
                el("span", {class: "state " + kind}, STATE_MARK[kind] + " " + STATE_WORDS[kind]), "."));
        nodes = unpackTree(stored, data.tree_columns);
        view.show(nodes, stored);
        replay.load(view.nodes, stored.replay);
        outline.open = false;
        clear(listHolder);
        const others = trees.map((tree, i) => i).filter((i) => trees[i].problem === stored.problem);
        clear(again, others.length < 2 ? [] : ["The same problem in iteration ",
            others.map((i) => el("button", {type: "button", "aria-pressed": String(i === index), onclick: () => finder.take(i)}, count(trees[i].iteration)))]);
    };
    outline.addEventListener("toggle", () => { if (outline.open && nodes) clear(listHolder, treeAsList(view.nodes)); });
    side.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
    stage.addEventListener("keydown", (event) => { if (event.key === "Escape" && !side.hidden) close(); });
    let drawnAt = 0;
    stage.redraw = (width) => {
        if (Math.abs(width - drawnAt) < 1 || !view.nodes) return;
        drawnAt = width;
        cover();
        view.resized();
    };
    sizeWatch.observe(stage);
    const tool = (label, mark, act) => el("button", {type: "button", "aria-label": label, title: label, onclick: act}, mark);
    const tools = el("div", {class: "tools"}, tool("Larger", "+", () => view.scale(1.35)), tool("Smaller", "\u2212", () => view.scale(1 / 1.35)),
        tool("Whole tree", "\u2922", () => view.fit()), tool("Back to the root", "\u21e4", () => view.home()));
    onTheme(() => view.nodes && view.paint(view.moment));
    const finder = treeList(trees, choose);
    const fold = el("details", {class: "chooser", open: true}, el("summary", null, "Choose a problem"), finder.node);
    if (innerWidth < 760) fold.open = false;
    setTimeout(() => finder.take(firstTree(trees)), 0);
    stage.append(tools);
    return [
        el("div", {class: "explorer"}, fold, el("div", {class: "picture"}, about, again, treeLegend(most), el("div", {class: "ground"}, stage, side), replay.node,
            el("p", {class: "hint"}, "Drag to move. Click a step to see its numbers; then the wheel zooms, and the arrow keys go to the parent, a child or a sibling. Enter goes to the details, Escape closes them."),
            outline)),
        data.trees_left_out ? el("p", {class: "muted"}, typeof data.trees_left_out === "number"
            ? `${plural(data.trees_left_out, "more tree")} of this run ${data.trees_left_out === 1 ? "is" : "are"} left out to keep the page small; espalier show has all of them.`
            : visible(data.trees_left_out)) : null,
    ];
}

/* The picture of a tree: cards in columns by depth, laid out by d3.tree; zoom and pan, keys, replay. */

const CARD = {least: 150, most: 240}, GAP = 44, LINE = 16, TEXT_FONT = "12.5px system-ui, sans-serif";

const measure = (() => {
    let context = null;
    return (text) => {
        if (!context) {
            context = document.createElement("canvas").getContext("2d");
            context.font = TEXT_FONT;
        }
        return context.measureText(text).width;
    };
})();

/* A text in at most `most` lines of `width` pixels. */
function wrap(text, width, most) {
    const lines = [];
    let line = "";
    const words = text.split(" ").flatMap((word) => word.match(/[\s\S]{1,26}/gu) || []);
    for (const word of words) {
        const longer = line ? line + " " + word : word;
        if (measure(longer) <= width || !line) {
            line = longer;
        } else {
            lines.push(line);
            line = word;
        }
        if (lines.length === most) break;
    }
    if (lines.length < most) lines.push(line);
    else lines[most - 1] = lines[most - 1].replace(/.{1,2}$/u, "") + "\u2026";
    return lines;
}

/* The layout of a card: lines of text and height. A step that was never visited is a single small line. */
function cardOf(node, wide) {
    const quiet = node.parent && node.N === 0 && !node.chosen && !node.rejected;
    const text = node.parent ? excerpt(node.text, 160) || "(empty step)" : "Problem: " + excerpt(node.question, 110);
    const lines = wrap(text, wide - 52, quiet ? 1 : 3);
    const tags = node.chosen || node.rejected;
    return {quiet, lines, height: quiet ? 22 : Math.max(34, 14 + LINE * lines.length), above: tags ? 9 : 0};
}

/* Draws into `holder`; calls `heard.select(node)` and `heard.open(node)`. */
class TreeView {
    constructor(holder, heard, most) {
        this.holder = holder;
        this.heard = heard;
        this.most = most;
        this.id = "tree-" + Math.random().toString(36).slice(2, 8);
        this.root = d3.select(holder).append("svg").attr("class", "tree").attr("role", "tree").attr("tabindex", 0)
            .attr("aria-label", "Search tree. Arrow keys go to the parent, a child or a sibling; Enter opens the details.");
        this.scene = this.root.append("g").attr("role", "presentation");
        this.trunks = this.scene.append("g").attr("role", "presentation");
        this.links = this.scene.append("g").attr("role", "presentation");
        this.cards = this.scene.append("g").attr("role", "presentation");
        this.zoom = d3.zoom().scaleExtent([0.06, 3]).clickDistance(6)
            .filter(() => !d3.event.button && (d3.event.type !== "wheel" || d3.event.ctrlKey || this.awake()))
            .on("zoom", () => this.zoomed());
        this.root.call(this.zoom).on("dblclick.zoom", null);
        this.root.on("keydown", () => this.key(d3.event));
    }

    /* The wheel scrolls the page until the tree has the focus. */
    awake() {
        return this.root.node().contains(document.activeElement);
    }

    zoomed() {
        if (d3.event.sourceEvent) this.kept = null;
        this.scene.attr("transform", d3.event.transform);
        this.root.classed("far", d3.event.transform.k < 0.42);
    }

    show(nodes, stored) {
        this.nodes = nodes.filter((node) => !node.lost);
        if (this.nodes.length) this.nodes[0].question = stored.question;
        this.most_N = d3.max(this.nodes.slice(1), (node) => node.N) || 1;
        const longest = d3.max(this.nodes.slice(1), (node) => measure(excerpt(node.text, 80))) || 0;
        this.wide = Math.round(Math.max(CARD.least, Math.min(CARD.most, longest + 56)));
        this.nodes.forEach((node) => { node.card = cardOf(node, this.wide); });
        const tree = d3.tree().nodeSize([1, this.wide + GAP]).separation((a, b) => {
            const [p, q] = [a.data.card, b.data.card];
            return (p.height + q.height) / 2 + Math.max(p.above, q.above) + (p.quiet && q.quiet ? 5 : a.parent === b.parent ? 11 : 20);
        });
        tree(d3.hierarchy(this.nodes[0])).each((place) => {
            place.data.x = place.y;
            place.data.y = place.x;
        });
        this.columns = [];
        for (const node of this.nodes) (this.columns[node.depth] = this.columns[node.depth] || []).push(node);
        this.columns.forEach((column) => column.sort((a, b) => a.y - b.y));
        this.draw();
        this.selected = null;
        this.select(this.nodes[0], {quiet: true});
        this.home();
    }

    draw() {
        const steps = this.nodes.slice(1);
        const bend = (node) => d3.linkHorizontal()({source: [node.parent.x + this.wide, node.parent.y], target: [node.x, node.y]});
        const fresh = (group, data, tag) => {
            group.selectAll("*").remove();
            return group.selectAll(tag).data(data).enter().append(tag);
        };
        fresh(this.trunks, steps.filter((node) => node.flags & COMMITTED), "path").attr("class", "trunk").attr("d", bend);
        this.link = fresh(this.links, steps, "path").attr("class", "link").attr("d", bend);
        this.card = fresh(this.cards, this.nodes, "g").attr("id", (node) => this.id + "-" + node.id)
            .attr("class", (node) => "card " + fate(node).kind + (node.card.quiet ? " quiet" : "") +
                                     (node.flags & COMMITTED ? " committed" : "") + (node.parent ? "" : " problem"))
            .attr("role", "treeitem").attr("aria-level", (node) => node.depth + 1)
            .attr("aria-setsize", (node) => (node.parent ? node.parent.children.length : 1))
            .attr("aria-posinset", (node) => (node.parent ? node.parent.children.indexOf(node) + 1 : 1))
            .attr("aria-expanded", (node) => (node.children.length ? "true" : null))
            .attr("transform", (node) => `translate(${node.x},${node.y - node.card.height / 2})`)
            .on("click", (node) => this.select(node))
            .on("dblclick", (node) => this.heard.open(node));
        const box = (name, inset) => this.card.append("rect").attr("class", name).attr("rx", 6).attr("x", -inset).attr("y", -inset)
            .attr("width", this.wide + 2 * inset).attr("height", (node) => node.card.height + 2 * inset);
        box("halo", 4);
        box("paper", 0);
        box("wash", 0);
        this.card.append("path").attr("class", "spine").attr("d", (node) => `M6,0H8V${node.card.height}H6A6,6 0 0 1 0,${node.card.height - 6}V6A6,6 0 0 1 6,0Z`);
        this.card.each((node, index, groups) => this.write(d3.select(groups[index]), node));
        this.paint(null);
    }

    write(g, node) {
        const {lines, height, quiet} = node.card;
        const middle = height / 2 - (lines.length - 1) * LINE / 2 + 4;
        g.append("text").attr("class", "words").attr("direction", /^[^A-Za-z]*[\u0590-\u08ff]/.test(lines[0]) ? "rtl" : "ltr")
            .selectAll("tspan").data(lines).enter().append("tspan")
            .attr("x", 16).attr("y", (line, index) => middle + index * LINE).text((line) => line);
        const end = fate(node);
        g.append("text").attr("class", "visits").attr("x", this.wide - 9).attr("y", end.mark && !quiet ? height / 2 - 4 : height / 2 + 4);
        if (end.mark)
            g.append("text").attr("class", "mark").attr("x", quiet ? this.wide - 24 : this.wide - 9).attr("y", quiet ? height / 2 + 4 : height / 2 + 12).text(end.mark);
        const tags = [];
        if (node.chosen) tags.push(["chosen", "\u25b2 chosen"]);
        if (node.rejected) tags.push(["rejected", "\u25bd rejected"]);
        let left = 14;
        for (const [kind, words] of tags) {
            const width = measure(words) * 0.86 + 12;
            const tag = g.append("g").attr("class", "tag " + kind).attr("transform", `translate(${left},-9)`);
            tag.append("rect").attr("width", width).attr("height", 16).attr("rx", 8);
            tag.append("text").attr("x", width / 2).attr("y", 11.5).text(words);
            left += width + 5;
        }
    }

    /* Sets colours and widths from the stored values or from a moment of the replay: {N, Q, made, root, path: Set}. */
    paint(moment) {
        this.moment = moment;
        const colour = qScale(this.most, themeIsDark());
        const N = (node) => (moment ? moment.N[node.id] : node.N), Q = (node) => (moment ? moment.Q[node.id] : node.Q);
        const there = (node) => !moment || node.id < moment.made;
        const width = (node) => (N(node) > 0 ? 1.5 + 9 * Math.sqrt(N(node) / this.most_N) : 1);
        const fill = (node) => (node.parent && finite(Q(node)) !== null ? colour(Q(node)) : "var(--zero)");
        this.link.attr("stroke", fill).attr("stroke-width", width).classed("walked", (node) => N(node) > 0)
            .classed("unborn", (node) => !there(node)).classed("now", (node) => moment !== null && moment.path.has(node.id) && node.id !== moment.root);
        this.trunks.selectAll("path").attr("stroke-width", (node) => width(node) + 7).classed("unborn", (node) => moment !== null && !moment.roots.has(node.id));
        this.card.classed("unborn", (node) => !there(node)).attr("aria-hidden", (node) => (there(node) ? null : "true"))
            .classed("now", (node) => moment !== null && moment.path.has(node.id)).classed("current-root", (node) => moment !== null && node.id === moment.root)
            .classed("undecided", (node) => moment !== null && !moment.roots.has(node.id))
            .attr("aria-label", (node) => this.spoken(node, N(node), Q(node)));
        this.card.select(".spine").attr("fill", fill);
        this.card.select(".wash").attr("fill", fill);
        this.card.select(".visits").text((node) => (node.parent ? N(node) : ""));
    }

    spoken(node, N, Q) {
        const words = nodeWords(node) + ": " + excerpt(node.parent ? node.text : node.question, 200);
        return node.parent ? `${words}. Visits ${N}, Q ${fixed(Q, 2)}.` : words;
    }

    select(node, options) {
        if (!node) return;
        this.selected = node;
        const path = new Set(pathTo(node));
        this.card.classed("selected", (other) => other === node).classed("onpath", (other) => path.has(other))
            .attr("aria-selected", (other) => String(other === node));
        this.link.classed("onpath", (other) => path.has(other));
        this.root.attr("aria-activedescendant", this.id + "-" + node.id);
        if (!options || !options.quiet) {
            this.reveal(node);
            this.heard.select(node);
        }
    }

    key(event) {
        if (event.ctrlKey || event.metaKey || event.altKey || !this.selected) return;
        const node = this.selected, column = this.columns[node.depth];
        const there = (other) => other && (!this.moment || other.id < this.moment.made);
        const next = (way) => {
            for (let i = column.indexOf(node) + way; column[i]; i += way) if (there(column[i])) return column[i];
            return null;
        };
        const dearest = node.children.filter(there).sort((a, b) => b.N - a.N || a.id - b.id)[0];
        const moves = {ArrowLeft: () => node.parent, ArrowRight: () => dearest, ArrowUp: () => next(-1), ArrowDown: () => next(1),
                       Home: () => this.nodes[0]};
        if (moves[event.key]) this.select(moves[event.key]());
        else if (event.key === "Enter" || event.key === " ") this.heard.open(node);
        else if (event.key === "+" || event.key === "=") this.scale(1.3);
        else if (event.key === "-") this.scale(1 / 1.3);
        else if (event.key === "0") this.fit();
        else return;
        event.preventDefault();
    }

    /* The free part of the stage; the details may cover its right side. */
    size() {
        return [(this.holder.clientWidth || 600) - (this.covered || 0), this.holder.clientHeight || 400];
    }

    go(transform, slow) {
        const calm = !slow || matchMedia("(prefers-reduced-motion: reduce)").matches;
        (calm ? this.root : this.root.transition().duration(350)).call(this.zoom.transform, transform);
    }

    bounds() {
        const x1 = d3.max(this.nodes, (node) => node.x) + this.wide;
        return {x0: 0, x1, y0: d3.min(this.nodes, (node) => node.y - node.card.height / 2) - 14,
                y1: d3.max(this.nodes, (node) => node.y + node.card.height / 2) + 8};
    }

    /* The whole tree. */
    fit() {
        this.kept = "fit";
        const [width, height] = this.size(), b = this.bounds();
        const k = Math.min(1.1, (width - 32) / (b.x1 - b.x0), (height - 32) / (b.y1 - b.y0));
        this.go(d3.zoomIdentity.translate(width / 2 - k * (b.x0 + b.x1) / 2, height / 2 - k * (b.y0 + b.y1) / 2).scale(k), true);
    }

    /* The root and the first steps: large enough to read, unless the first steps would then be out of view. */
    home() {
        this.kept = "home";
        const [width, height] = this.size(), b = this.bounds();
        const first = d3.extent(this.nodes.filter((node) => node.depth === 1), (node) => node.y - this.nodes[0].y);
        const reach = 2 * Math.max(40, -first[0] || 0, first[1] || 0) + 80;
        const whole = Math.min(1, (width - 32) / (b.x1 - b.x0), (height - 32) / (b.y1 - b.y0));
        const legible = width < 500 ? 0.8 : whole > 0.68 ? whole : 0.84;
        const k = Math.max(whole, Math.min(legible, Math.max(0.2, height / reach)));
        const tall = k * (b.y1 - b.y0) > height - 32;
        const y = tall ? height / 2 - k * this.nodes[0].y : height / 2 - k * (b.y0 + b.y1) / 2;
        this.go(d3.zoomIdentity.translate(16, y).scale(k), false);
    }

    /* Called when the size of the stage has changed. */
    resized() {
        if (this.kept) this[this.kept]();
        else this.reveal(this.selected);
    }

    scale(factor) {
        this.kept = null;
        this.zoom.scaleBy(this.root, factor);
    }

    /* Moves a card into view, by the shortest distance. */
    reveal(node) {
        this.kept = null;
        const t = d3.zoomTransform(this.root.node()), [width, height] = this.size();
        const x = t.applyX(node.x), y = t.applyY(node.y), w = t.k * this.wide, h = t.k * node.card.height, room = 24;
        const dx = x < room ? room - x : x + w > width - room ? width - room - x - w : 0;
        const dy = y - h / 2 < room ? room - y + h / 2 : y + h / 2 > height - room ? height - room - y - h / 2 : 0;
        if (dx || dy) this.go(d3.zoomIdentity.translate(t.x + dx, t.y + dy).scale(t.k), true);
    }
}

/* Charts: lines and points with intervals over a linear or logarithmic axis, drawn with d3. Every chart is a figure with a
   title, a legend (colour, dash and mark) and a table of its numbers. */

const MARKS = [d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle, d3.symbolDiamond, d3.symbolCross, d3.symbolStar];
const DASHES = [null, "6 3", "2 3", "8 3 2 3", "4 2", "1 3"];

/* Six lines differ in colour, dash and mark. A seventh has the first one's colour, but neither its dash nor its mark. */
const dashOf = (slot) => DASHES[(slot + Math.floor(slot / 6)) % 6];
const markOf = (slot) => MARKS[(slot + 2 * Math.floor(slot / 6)) % 6];

const sizeWatch = new ResizeObserver((entries) => {
    for (const entry of entries) if (entry.target.redraw) entry.target.redraw(entry.contentRect.width);
});

function seriesMark(series, size) {
    return d3.symbol().type(markOf(series.slot)).size(size)();
}

function legendOf(all) {
    return el("ul", {class: "legend"}, all.map((series) => {
        const sample = svg("svg", {width: 34, height: 14, "aria-hidden": "true", class: "series-" + series.slot % 6});
        if (!series.pointsOnly)
            sample.append(svg("line", {x1: 1, x2: 33, y1: 7, y2: 7, class: "line", "stroke-dasharray": dashOf(series.slot)}));
        sample.append(svg("path", {d: seriesMark(series, 46), transform: "translate(17,7)", class: "mark"}));
        return el("li", null, sample, named(series.name, 60));
    }));
}

/* The table of a chart's numbers. */
function tableOf(o) {
    const withInterval = o.series.some((series) => series.points.some((p) => finite(p.low) !== null));
    const rows = o.series.flatMap((series) => series.points.map((p) => el("tr", null,
        o.series.length > 1 ? el("th", {scope: "row"}, named(series.name, 60)) : null,
        el("td", null, p.name || o.x.format(p.x)), el("td", null, o.y.format(p.y)),
        withInterval ? el("td", null, interval(p.low, p.high, o.y.format)) : null)));
    return el("details", {class: "numbers"}, el("summary", null, "Numbers", el("span", {class: "unseen"}, " of: " + o.title)),
        el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Table: " + o.title}, el("table", null,
            el("thead", null, el("tr", null, o.series.length > 1 ? el("th", {scope: "col"}, "Line") : null,
                el("th", {scope: "col"}, o.x.label), el("th", {scope: "col"}, o.y.label),
                withInterval ? el("th", {scope: "col"}, "95% interval") : null)),
            el("tbody", null, rows))));
}

function chartScales(o, width, height, margin) {
    const points = o.series.flatMap((series) => series.points);
    const xs = points.map((p) => p.x);
    const ys = points.flatMap((p) => [p.y, p.low, p.high]).map(finite).filter((v) => v !== null).concat(o.y.include || []);
    let [x0, x1] = o.x.domain || d3.extent(xs);
    let [y0, y1] = o.y.domain || d3.extent(ys);
    if (o.x.log) {
        if (x0 === x1) [x0, x1] = [x0 / 2, x1 * 2];
        else [x0, x1] = [x0 / 1.15, x1 * 1.15];
    } else if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
    if (y0 === y1) [y0, y1] = [y0 - (Math.abs(y0) || 1) * 0.1, y1 + (Math.abs(y1) || 1) * 0.1];
    const x = (o.x.log ? d3.scaleLog() : d3.scaleLinear()).domain([x0, x1]).range([margin.left, width - margin.right]);
    const y = d3.scaleLinear().domain([y0, y1]).range([height - margin.bottom, margin.top]);
    if (!o.y.domain) y.nice(5);
    return {x, y};
}

function xTicks(o, x, width) {
    const room = Math.max(2, Math.floor(width / 90));
    if (o.x.values) {
        const near = [];
        let last = -Infinity;
        for (const v of o.x.values.slice().sort(d3.ascending))
            if (x(v) - last > (o.small ? 26 : 40)) near.push(v), last = x(v);
        return near;
    }
    let ticks = x.ticks(room);
    if (o.x.integer) ticks = ticks.filter(Number.isInteger);
    return ticks;
}

/* 1, 2 and 5 times powers of ten, or all that the scale has where these are too few; none on another's label. */
function logTicks(o, x) {
    const all = x.ticks(), main = all.filter((v) => /^[125]e/.test(v.toExponential(0)));
    return xTicks({...o, x: {...o.x, values: main.length > 2 ? main : all}}, x);
}

function drawAxes(root, o, x, y, width, height, margin) {
    const bottom = d3.axisBottom(x), format = o.x.tick || o.x.format;
    bottom.tickValues(o.x.log ? logTicks(o, x) : xTicks(o, x, width)).tickFormat(format);
    root.append("g").attr("class", "grid").attr("transform", `translate(${margin.left},0)`)
        .call(d3.axisLeft(y).ticks(o.small ? 3 : 5).tickSize(-(width - margin.left - margin.right)).tickFormat(o.y.tick || (o.y.format === percent ? tickPercent : (v) => minus(y.tickFormat(5)(v)))))
        .call((g) => g.select(".domain").remove());
    root.append("g").attr("class", "axis").attr("transform", `translate(0,${height - margin.bottom})`)
        .call(bottom.tickSizeOuter(0).tickPadding(7).tickSizeInner(4));
    root.append("text").attr("class", "label").attr("x", 0).attr("y", 11).text(o.y.label);
    root.append("text").attr("class", "label").attr("x", width - margin.right).attr("y", height - 3)
        .attr("text-anchor", "end").text(o.x.label);
}

function drawSeries(root, series, o, x, y) {
    const g = root.append("g").attr("class", "series series-" + series.slot % 6 + (series.quiet ? " quiet" : ""));
    const known = series.points.filter((p) => finite(p.x) !== null && finite(p.y) !== null);
    const ranged = known.filter((p) => finite(p.low) !== null && finite(p.high) !== null);
    const defined = (p) => finite(p.y) !== null;
    if (!series.pointsOnly && ranged.length > 1 && !series.quiet)
        g.append("path").datum(ranged).attr("class", "band")
            .attr("d", d3.area().x((p) => x(p.x)).y0((p) => y(p.low)).y1((p) => y(p.high)));
    if (!series.pointsOnly)
        g.append("path").datum(series.points).attr("class", "line").attr("stroke-dasharray", dashOf(series.slot))
            .attr("d", d3.line().defined(defined).x((p) => x(p.x)).y((p) => y(p.y)));
    if (series.bare) return;
    if (series.pointsOnly || ranged.length < 2 || series.whiskers)
        g.selectAll("line.whisker").data(ranged).enter().append("line").attr("class", "whisker")
            .attr("x1", (p) => x(p.x)).attr("x2", (p) => x(p.x)).attr("y1", (p) => y(p.low)).attr("y2", (p) => y(p.high));
    const size = d3.scaleSqrt().domain([0, d3.max(known, (p) => p.weight || 0) || 1]).range([18, 260]);
    g.selectAll("path.mark").data(known).enter().append("path").attr("class", "mark")
        .attr("d", (p) => seriesMark(series, p.weight === undefined ? (o.small ? 26 : 52) : size(p.weight)))
        .attr("transform", (p) => `translate(${x(p.x)},${y(p.y)})`);
}

/* A point under the pointer says its numbers. */
function addTip(figure, plot, root, o, x, y, width) {
    const known = o.series.flatMap((series) => series.points.filter((p) => finite(p.y) !== null).map((p) => ({series, p})));
    const tip = el("div", {class: "tip", hidden: true, "aria-hidden": "true"});
    const ring = root.append("circle").attr("class", "ring").attr("r", 8).attr("visibility", "hidden");
    plot.append(tip);
    const hide = () => { tip.hidden = true; ring.attr("visibility", "hidden"); };
    root.on("pointerleave", hide).on("pointermove pointerdown", function () {
        const [px, py] = d3.mouse(this);
        const near = d3.scan(known, (a, b) => Math.hypot(x(a.p.x) - px, y(a.p.y) - py) - Math.hypot(x(b.p.x) - px, y(b.p.y) - py));
        if (near === undefined) return;
        const {series, p} = known[near], left = x(p.x), top = y(p.y);
        if (Math.hypot(left - px, top - py) > 60) return hide();
        ring.attr("cx", left).attr("cy", top).attr("visibility", "visible");
        clear(tip, el("strong", null, o.y.format(p.y)),
            finite(p.low) === null ? null : el("span", null, " (" + interval(p.low, p.high, o.y.format) + ")"),
            el("br"), o.series.length > 1 ? [named(series.name, 40), el("br")] : null,
            el("span", null, p.name || o.x.label + " " + o.x.format(p.x)), p.note ? [el("br"), p.note] : null);
        tip.hidden = false;
        tip.style.left = Math.min(Math.max(left, 80), width - 80) + "px";
        tip.style.top = top - 12 + "px";
        tip.classList.toggle("below", top < 80);
        if (top < 80) tip.style.top = top + 14 + "px";
    });
}

/* o: {title, series: [{name, slot, points: [{x, y, low?, high?, weight?, name?, note?}], pointsOnly?, quiet?, bare?}],
       x: {label, format, tick?, log?, integer?, domain?, values?}, y: {label, format, tick?, domain?, include?},
       height, small?, lines?: [{y, text}], marks?: [{x, text}], diagonal?, caption?} */
function chart(o) {
    o.series.forEach((series) => {
        series.points = series.points.filter((p) => finite(p.x) !== null && (!o.x.log || p.x > 0));
    });
    const plot = el("div", {class: "plot"});
    const figure = el("figure", {class: "chart" + (o.small ? " small" : ""), "aria-label": o.title},
        el("figcaption", null, el("span", {class: "title"}, o.title), o.caption ? el("span", {class: "caption"}, o.caption) : null),
        o.series.length > 1 ? legendOf(o.series) : el("div"), plot, tableOf(o));
    plot.redraw = (width) => {
        if (width < 40 || Math.abs(width - (plot.drawn || 0)) < 1) return;
        plot.drawn = width;
        const height = o.height || 300;
        const margin = {top: o.y.label ? 24 : 8, right: 14, bottom: 42, left: o.small ? 44 : 48};
        clear(plot);
        const {x, y} = chartScales(o, width, height, margin);
        const root = d3.select(plot).append("svg").attr("width", width).attr("height", height).attr("role", "img")
            .attr("aria-label", o.title + (o.caption ? ". " + o.caption : "") + ". The numbers follow as a table.");
        drawAxes(root, o, x, y, width, height, margin);
        for (const line of o.lines || []) {
            root.append("line").attr("class", "rule").attr("x1", margin.left).attr("x2", width - margin.right)
                .attr("y1", y(line.y)).attr("y2", y(line.y));
        }
        for (const mark of o.marks || [])
            root.append("line").attr("class", "rule faint").attr("x1", x(mark.x)).attr("x2", x(mark.x))
                .attr("y1", margin.top).attr("y2", height - margin.bottom);
        if (o.diagonal)
            root.append("line").attr("class", "rule").attr("x1", x(0)).attr("x2", x(1)).attr("y1", y(0)).attr("y2", y(1));
        o.series.slice().reverse().forEach((series) => drawSeries(root, series, o, x, y));
        for (const line of o.lines || [])
            root.append("text").attr("class", "rule-text").attr("x", width - margin.right).attr("y", y(line.y) - 5)
                .attr("text-anchor", "end").text(line.text);
        addTip(figure, plot, root, o, x, y, width);
    };
    sizeWatch.observe(plot);
    return figure;
}

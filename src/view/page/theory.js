/* The page of the theory: for each table its figures, and its values with prediction and difference. */

function theoryDifference(v) {
    return v.difference === 0 ? "0" : minus(d3.format(".1e")(v.difference));
}

const THEORY_SIGNS = {"=": "", ">=": "\u2265 ", "<=": "\u2264 "};
function theoryRow(v) {
    return el("tr", {class: v.holds ? null : "state wrong"}, el("th", {scope: "row"}, v.at), el("td", null, THEORY_SIGNS[v.relation] + fixed(v.prediction, 6)),
        el("td", null, fixed(v.computed, 6)), el("td", null, theoryDifference(v) + (v.holds ? "" : " \u2717")));
}

/* One body per quantity, in the order in which they come first. */
function theoryTable(table) {
    const quantities = Array.from(new Set(table.values.map((v) => v.quantity)));
    return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Table: " + table.title}, el("table", null,
        el("thead", null, el("tr", null, ["At", "Prediction", "Computed", "Difference"].map((name) => el("th", {scope: "col"}, name)))),
        quantities.map((quantity) => el("tbody", null, el("tr", null, el("th", {scope: "rowgroup", colspan: 4, class: "state"}, quantity)),
            table.values.filter((v) => v.quantity === quantity).map(theoryRow)))));
}

function theoryFigure(f) {
    const whole = f.lines.every((line) => line.points.every(([x]) => Number.isInteger(x)));
    return chart({title: f.title, caption: f.caption,
        series: f.lines.map((line, slot) => ({name: line.name, slot, quiet: line.plain, bare: line.plain, points: line.points.map(([x, y]) => ({x, y}))})),
        x: {label: f.x, format: whole ? count : (x) => fixed(x, 2), tick: f.log_x ? short : undefined, log: f.log_x, integer: whole}, y: {label: f.y, format: (y) => fixed(y, 4), include: [0], tick: significant}});
}

function theorySection(table) {
    return table.figures.length ? el("div", {class: "pair"}, el("div", null, table.figures.map(theoryFigure)), el("div", null, theoryTable(table))) : theoryTable(table);
}

function theoryResult(data) {
    const words = data.differ === 0 ? `All ${count(data.values)} values are as predicted.` : `${count(data.differ)} of ${count(data.values)} values differ from their prediction.`;
    return [el("p", {class: "lead"}, words), el("p", {class: "intro"}, "Small models of learning preferences from trees: what theory predicts, beside what the program\u2019s own rule, doubt and loss compute.")];
}

function theorySections(data) {
    return [["result", "Result", theoryResult, null]].concat(data.tables.map((table) => [table.name, table.name + "\u2002" + table.title, () => theorySection(table), table.about, table.name]));
}

/* Accuracy against compute: training and more work on an answer, on one axis of tokens (data.curves of a report, or the page
   of several runs). */

const curveWhen = (iteration) => iteration === 0 ? "before" : "checkpoint " + iteration;

function curvePoints(curve) {
    const part = curve.name.split(": ")[1];
    return (curve.points || []).filter((p) => p && finite(p.share) !== null && finite(p.tokens) !== null).map((p) => ({x: p.tokens, y: p.share, low: p.low, high: p.high,
        name: [part, p.k > 1 ? "k = " + p.k : null, curveWhen(p.iteration), short(p.tokens) + " tokens"].filter(Boolean).join(", ")}));
}

/* One series per line; the points of a search, which is one per policy and way to answer, together. */
function curveSeries(curves) {
    const ways = new Map();
    for (const curve of curves) {
        const single = curve.points.length < 2, when = finite(curve.iteration) === null || single ? "" : ", " + curveWhen(curve.iteration);
        const name = (single ? curve.name.split(": ")[0] : curve.name) + when;
        if (!ways.has(name)) ways.set(name, {name, slot: ways.size, pointsOnly: single, quiet: finite(curve.iteration) !== null, points: []});
        ways.get(name).points.push(...curvePoints(curve));
    }
    return Array.from(ways.values());
}

function curvesChart(title, caption, series) {
    const known = series.filter((s) => s.points.length);
    return known.length ? chart({title, caption, series: known, x: {label: "Tokens computed: training and answers", format: short, log: true}, y: PERCENT_AXIS}) : null;
}

/* The two charts of one run: the share of problems that are solved, and of those with any correct answer. */
function curvesPair(run) {
    const all = (run && Array.isArray(run.curves) ? run.curves : []).filter(Boolean);
    const of = (pass) => curveSeries(all.filter((c) => Boolean(c.pass) === pass && c.points));
    const problems = (run && run.runs > 1 ? `Mean of ${run.runs} runs. ` : "") + `On ${plural(run ? run.problems : 0, "problem")}; tokens of training and of answers to ${count(run ? run.asked : 0)}. `;
    const charts = [curvesChart("Train more, or work more on each answer", problems + "The first policy\u2019s training is not counted.", of(false)),
        curvesChart("Any correct answer", problems + "Nobody says which of the answers is correct.", of(true))].filter(Boolean);
    return charts.length ? el("div", {class: "pair"}, charts) : null;
}

function curvesTogether(data) {
    const series = data.runs.map((run, slot) => { const own = run.curves.find((c) => c.kind === "checkpoints"); return own ? {name: run.label, slot, pointsOnly: own.points.length < 2, points: curvePoints(own)} : null; }).filter(Boolean);
    return series.length > 1 ? curvesChart("Each checkpoint", data.runs.some((run) => run.runs > 1) ? "Own evaluations; means over the runs of a method." : "The runs\u2019 own evaluations.", series) : null;
}

/* The accuracy before and after, of the first run that was evaluated more than once. */
function curvesLead(data) {
    for (const run of data.runs) {
        const own = run.curves.find((c) => c.kind === "checkpoints");
        if (!own || own.points.length < 2) continue;
        const first = own.points[0], last = own.points[own.points.length - 1];
        return `${run.label}: ${percent(first.share)} to ${percent(last.share)} with ${short(last.training - first.training)} tokens of training.`;
    }
    return "No run was evaluated twice.";
}

function curvesSections(data) {
    const each = data.runs.map((run, i) => ["run-" + i, run.label, () => [run.left_out ? el("p", {class: "muted"}, `${plural(run.left_out, "evaluation")} of other problems left out.`) : null,
        curvesPair(run) || emptyWords("This run has no evaluation with answers.")], null]);
    const words = "Tokens are those computed by search and updates from the first policy on, and by the answers. Training is paid once, more work on an answer for each problem.";
    return [["result", "Result", () => [el("p", {class: "lead"}, curvesLead(data)), el("p", {class: "intro"}, words), curvesTogether(data)], null]].concat(each);
}

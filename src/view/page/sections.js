/* The other sections, in the order of the page. Each takes the data and returns elements; if data is missing, it says so. */

function emptyWords(words) {
    return el("p", {class: "empty"}, words);
}
function roundsOf(data) {
    return Array.isArray(data.iterations) ? data.iterations.filter((i) => i && finite(i.iteration) !== null).map((i) => ({...i, best: i.main || i.greedy || null})) : [];
}
const PERCENT_AXIS = {label: "Problems solved", format: percent, tick: tickPercent, include: [0]};

const METHOD_WORDS = {
    greedy: "Greedy answers to held-out problems; the band is the 95% interval.",
    sample: "Sampled answers to held-out problems; the band is the 95% interval.",
    search: "Held-out problems answered by search; the band is the 95% interval.",
    choices: "Held-out problems answered by the most probable option; the band is the 95% interval.",
};

/* Accuracy series of this run and of the baselines; `x` is the key of the horizontal axis. */
function accuracySeries(data, x) {
    const point = (row, greedy) => ({x: finite(row[x]) === null ? NaN : row[x], y: greedy.accuracy, low: greedy.low, high: greedy.high,
        note: greedy.problems ? `${count(greedy.right)} of ${count(greedy.problems)} correct` : null, name: x === "iteration" ? null : `Iteration ${row.iteration}, ${short(row[x])} tokens`});
    const own = {name: "This run", slot: 0, points: roundsOf(data).filter((i) => i.best).map((i) => point(i, i.best))};
    const others = (Array.isArray(data.baselines) ? data.baselines : []).map((line, index) => ({name: line.label || "Baseline " + (index + 1), slot: index + 1,
        quiet: true, points: (line.iterations || []).map((row) => point(row, row)).filter((p) => finite(p.y) !== null)}));
    return [own, ...others].filter((series) => series.points.length);
}

function headline(data) {
    const sentences = ((data.summary && data.summary.sentences) || []).filter((s) => typeof s === "string");
    const evaluated = roundsOf(data).filter((i) => i.best), first = evaluated[0], last = evaluated[evaluated.length - 1];
    const gain = data.gain;
    const big = [];
    if (gain && finite(gain.difference) !== null) {
        const sign = gain.difference >= 0.0005 ? "+" : "";
        big.push(el("p", {class: "figure"}, el("strong", null, sign + fixed(100 * gain.difference, 1)), el("span", null, "points on held-out problems")));
        big.push(el("p", {class: "muted"}, "95% interval of the paired gain ", el("span", {class: "nowrap"}, interval(gain.low, gain.high, (v) => fixed(100 * v, 1))),
            finite(gain.p) === null ? null : ", " + chance(gain.p)));
    } else if (last) {
        big.push(el("p", {class: "figure"}, el("strong", null, percent(last.best.accuracy)), el("span", null, "of held-out problems solved")));
        big.push(el("p", {class: "muted"}, "95% interval ", interval(last.best.low, last.best.high, percent)));
    }
    if (first && last && first !== last) {
        const row = (name, g) => el("div", null, el("dt", null, name), el("dd", null, el("strong", null, percent(g.accuracy)), " ",
            el("span", {class: "muted"}, interval(g.low, g.high, percent))));
        big.push(el("dl", {class: "before-after"}, row(first.iteration === 0 ? "Before" : "Iteration " + first.iteration, first.best), row("After iteration " + last.iteration, last.best)));
        if (gain && finite(gain.only_after) !== null)
            big.push(el("p", {class: "muted"}, `${plural(gain.only_after, "problem")} solved only after training, ${count(gain.only_before)} only before.`));
    }
    const series = accuracySeries(data, "iteration");
    const curve = series.length ? chart({title: "Accuracy over iterations", caption: METHOD_WORDS[(data.run || {}).method] || METHOD_WORDS.greedy,
        series, height: 330, lines: series[0].points.length > 1 && first ? [{y: first.best.accuracy, text: "before"}] : [],
        x: {label: "Iteration", format: (v) => fixed(v, 0), values: Array.from(new Set(series.flatMap((s) => s.points.map((p) => p.x))))}, y: PERCENT_AXIS})
        : emptyWords("There is no accuracy yet: this run has not been evaluated.");
    return [sentences.length ? el("p", {class: "lead", dir: "auto"}, sentence(sentences[0])) : null,
        el("div", {class: "headline"}, el("div", {class: "big"}, big.length ? big : emptyWords("No evaluation is recorded yet."),
            sentences.slice(1).map((s) => el("p", {dir: "auto"}, sentence(s)))), curve)];
}

function computeSection(data) {
    const train = accuracySeries(data, "cumulative_tokens_computed").map((s) => ({...s, points: s.points.filter((p) => finite(p.x) !== null)})).filter((s) => s.points.length);
    const parts = [];
    parts.push(train.some((s) => s.points.length > 1) ? chart({title: "Training compute: accuracy against tokens", caption: "All tokens that the model computed: warm-up, search, self-evaluation, training. A beginning that texts have in common is computed once.",
        series: train, x: {label: "Tokens computed", format: short}, y: PERCENT_AXIS}) : emptyWords("Accuracy against training compute needs at least two evaluations."));
    const rows = (Array.isArray(data.inference) ? data.inference : []).filter(Boolean);
    const series = [];
    rows.forEach((row, index) => {
        const samples = (row.samples || []).filter((s) => s && finite(s.tokens) !== null), when = row.label || "iteration " + row.iteration;
        const line = (name, slot, of) => ({name: `${name}, ${when}`, slot, quiet: index < rows.length - 1, points: samples.map((s) => ({x: s.tokens, ...of(s), name: `k = ${s.k}, ${short(s.tokens)} tokens`})).filter((p) => finite(p.y) !== null)});
        series.push(line("pass@k", index === rows.length - 1 ? 0 : 3, (s) => ({y: s.pass, low: s.pass_low, high: s.pass_high})));
        series.push(line("maj@k", index === rows.length - 1 ? 1 : 4, (s) => ({y: s.majority, low: s.majority_low, high: s.majority_high})));
        const found = [];
        if (row.search && finite(row.search.tokens) !== null) {
            found.push({x: row.search.tokens, y: row.search.committed, low: row.search.low, high: row.search.high, name: "committed path"});
            if (finite(row.search.vote) !== null) found.push({x: row.search.tokens, y: row.search.vote, low: row.search.vote_low, high: row.search.vote_high, name: "vote of the tree"});
        }
        if (found.length) series.push({name: "search, " + when, slot: index === rows.length - 1 ? 2 : 5, pointsOnly: true, points: found});
    });
    const known = series.filter((s) => s.points.length);
    parts.push(known.length ? chart({title: "Inference compute: accuracy against tokens per problem", caption: "pass@k: at least one of k samples is correct; maj@k: the most frequent answer is correct; search: a tree without gold answers.",
        series: known, x: {label: "Tokens sampled per problem", format: short, log: true}, y: PERCENT_AXIS})
        : emptyWords("This run did not evaluate k samples or search at inference."));
    return [el("div", {class: "pair"}, parts), methodsTable(rows), curvesPair(data.curves)];
}

/* The ways to answer, from one chain to a tree, with their cost; `rows`: data.inference. */
const WAYS = [
    ["Greedy, one chain", (row) => row.greedy && {y: row.greedy.accuracy, ...row.greedy}],
    ["Majority of k samples", (row) => { const s = (row.samples || []).slice(-1)[0]; return s && {y: s.majority, low: s.majority_low, high: s.majority_high, tokens: s.tokens, k: s.k, problems: s.problems}; }],
    ["Any of k samples (pass@k)", (row) => { const s = (row.samples || []).slice(-1)[0]; return s && {y: s.pass, low: s.pass_low, high: s.pass_high, tokens: s.tokens, k: s.k, problems: s.problems}; }],
    ["Search with self-evaluation", (row) => row.search && {y: row.search.committed, ...row.search}],
    ["Search without self-evaluation", (row) => row.search_unjudged && {y: row.search_unjudged.committed, ...row.search_unjudged}],
    ["Most probable option", (row) => row.choices && {y: row.choices.accuracy, ...row.choices}],
    ["Most probable option per character", (row) => row.choices && {...row.choices, y: row.choices.norm, low: row.choices.norm_low, high: row.choices.norm_high}],
];
function methodsTable(rows) {
    const ways = WAYS.flatMap(([name, of]) => rows.map((row) => ({name, when: row.label || "iteration " + row.iteration, at: of(row)}))).filter((w) => w.at && finite(w.at.y) !== null);
    if (ways.length < 2) return null;
    const asked = new Set(ways.map((w) => w.at.problems).filter((n) => n > 0));
    return [asked.size === 1 ? el("p", {class: "muted of-ways"}, `All on the same ${plural([...asked][0], "problem")}, the first of the evaluation.`) : null,
        el("div", {class: "scroll ways", tabindex: "0", role: "region", "aria-label": "Table: ways to answer"}, el("table", null,
        el("thead", null, el("tr", null, ["Way to answer", "Training", "Problems solved", "95% interval", "Tokens sampled per problem", "Tokens read by the judge per problem"].map((name) => el("th", {scope: "col"}, name)))),
        el("tbody", null, ways.map((w) => el("tr", null, el("th", {scope: "row"}, w.name + (w.at.k ? ", k = " + w.at.k : "")), el("td", null, w.when), el("td", null, percent(w.at.y)),
            el("td", null, interval(w.at.low, w.at.high, percent)), el("td", null, short(w.at.tokens)), el("td", null, finite(w.at.judged) === null || !w.at.judged ? "\u2013" : short(w.at.judged)))))))];
}

const WATCHED = [
    ["Log-prob of steps in pairs", [["logp_chosen", "chosen"], ["logp_rejected", "rejected"]], "sum over a step's tokens, in nats", significant],
    ["Implicit reward margin", [["margin", "margin"]], "chosen minus rejected", significant],
    ["Log-prob lost to the reference", [["kl", "lost"]], "mean over a pair's two steps, in nats", significant],
    ["Implicit reward accuracy", [["accuracy", "accuracy"]], "share of pairs with a positive margin; not of correct answers", percent],
    ["Loss", [["loss", "loss"]], "mean over a batch", significant],
    ["Gradient norm", [["grad_norm", "norm"]], "before clipping", significant],
    ["Step length", [["step_tokens", "tokens"]], "tokens, sampled steps", significant],
    ["Chain length", [["chain_tokens", "tokens"]], "tokens, whole chains", significant],
    ["Chains that finish", [["finished_share", "share"]], "of those sampled in search", percent],
];

const MOST_POINTS = 120;

/* The updates, or the means of groups of `together` updates; `at` is an update's position among all. */
function meansOf(updates, together, keys) {
    return d3.range(0, updates.length, together).map((from) => {
        const group = updates.slice(from, from + together), row = {...group[0], at: from + (group.length + 1) / 2};
        keys.forEach((key) => { const known = group.map((u) => finite(u[key])).filter((v) => v !== null); row[key] = known.length ? d3.mean(known) : null; });
        return row;
    });
}

/* Rows with their metrics beside the other numbers. */
const withMetrics = (rows) => rows.map((row) => ({...row, ...row.metrics}));

/* A chart for each metric that has none above. */
function otherMetrics(rows) {
    const names = new Set(rows.flatMap((row) => Object.keys(row.metrics || {})));
    WATCHED.forEach(([, keys]) => keys.forEach(([key]) => names.delete(key)));
    return Array.from(names, (name) => [name, [[name, name]], "mean over a batch", significant]);
}

/* The small charts: by update if updates are recorded, otherwise by iteration. */
function watchCharts(data) {
    const updates = withMetrics((Array.isArray(data.updates) ? data.updates : []).filter((u) => u && u.phase !== "sft"));
    const rounds = withMetrics(roundsOf(data));
    const starts = [];
    updates.forEach((u, index) => { if (index > 0 && u.iteration !== updates[index - 1].iteration) starts.push({x: index + 0.5}); });
    return WATCHED.concat(otherMetrics(updates.concat(rounds))).map(([title, keys, caption, format]) => {
        const byUpdate = keys.some(([key]) => updates.filter((u) => finite(u[key]) !== null).length > 1);
        const together = byUpdate ? Math.ceil(updates.length / MOST_POINTS) : 1;
        const rows = byUpdate ? meansOf(updates, together, keys.map(([key]) => key)) : rounds;
        const series = keys.map(([key, name], slot) => ({name, slot, bare: rows.length > 40, points: rows.map((row, index) => ({x: byUpdate ? row.at : row.iteration, y: finite(row[key]),
            name: byUpdate ? `${together > 1 ? "From update" : "Update"} ${row.update}, iteration ${row.iteration}` : "Iteration " + row.iteration}))}))
            .filter((s) => s.points.some((p) => p.y !== null));
        series.forEach((s, slot) => { s.slot = slot; s.points = s.points.filter((p) => p.y !== null || byUpdate); });
        if (!series.length) return null;
        return chart({title, caption: together > 1 ? `${caption}; means of ${together} updates` : caption, series, small: true, height: 170, marks: byUpdate ? starts : [],
            x: byUpdate ? {label: "Update", format: count, integer: true} : {label: "Iteration", format: count, integer: true, values: Array.from(new Set(series.flatMap((s) => s.points.map((p) => p.x))))},
            y: {label: "", format, include: format === percent ? [0, 1] : / length$/.test(title) ? [0] : []}});
    }).filter(Boolean);
}

function watchSection(data) {
    const said = (Array.isArray(data.watch) ? data.watch : []).filter((w) => w && typeof w.text === "string");
    const order = said.filter((w) => w.level === "warn").concat(said.filter((w) => w.level !== "warn"));
    const charts = watchCharts(data);
    return [order.length ? el("ul", {class: "watch"}, order.map((w) => el("li", {class: w.level === "warn" ? "warn" : "ok"},
        el("span", {class: "verdict"}, w.level === "warn" ? "\u26a0\ufe0e Check" : "\u2713 Fine"), el("span", {dir: "auto"}, sentence(w.text))))) : emptyWords("Nothing to report: this run has made no updates yet."),
        charts.length ? el("div", {class: "smalls"}, charts) : emptyWords("There are no curves: no update is recorded."),
    ];
}

/* Of an AUC, or of a share of comparisons. */
function areaOf(auc) {
    return auc ? finite(auc.area === undefined ? auc.share : auc.area) : null;
}

function areaWords(auc) {
    const value = areaOf(auc);
    return value === null ? null : [el("strong", null, fixed(value, 3)), " ", el("span", {class: "muted"}, interval(auc.low, auc.high, (v) => fixed(v, 3)))];
}

function judgeSection(data) {
    const judge = data.judge, parts = [];
    const bins = ((judge && judge.bins) || []).filter((b) => b && b.count > 0);
    const wilson = (right, n) => {
        const z2 = 3.8415, p = right / n, mid = (p + z2 / (2 * n)) / (1 + z2 / n), half = Math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n);
        return {low: Math.max(0, mid - half), high: Math.min(1, mid + half)};
    };
    if (!bins.length) parts.push(emptyWords("Self-evaluation was off in this run, or no judged chain was graded."));
    else parts.push(chart({title: "Calibration of self-evaluation", caption: "Finished chains by their self-evaluation C: the share that is correct. On the diagonal, C equals the probability of being correct. Larger marks: more chains.",
        series: [{name: "Finished chains", slot: 0, pointsOnly: true, points: bins.map((b) => ({x: (b.low + b.high) / 2, y: b.right / b.count, ...wilson(b.right, b.count), weight: b.count,
            name: `C from ${fixed(b.low, 1)} to ${fixed(b.high, 1)}`, note: plural(b.count, "chain")}))}], diagonal: true,
        x: {label: "Self-evaluation C", format: (v) => fixed(v, 2), tick: (v) => fixed(v, 1), domain: [0, 1]}, y: {label: "Share that is correct", format: percent, tick: tickPercent, domain: [0, 1]}}));
    const rounds = roundsOf(data), kinds = [["auc_within", "Within problems"], ["sibling_accuracy", "Among siblings"], ["auc_finished", "All finished chains"], ["auc_unfinished", "All unfinished steps"], ["auc_within_frozen", "Within problems, the first judge"]];
    const series = kinds.map(([key, name], slot) => ({name, slot,
        points: rounds.map((r) => ({x: r.iteration, y: areaOf(r[key]), low: r[key] && r[key].low, high: r[key] && r[key].high})).filter((p) => p.y !== null)})).filter((s) => s.points.length);
    const facts = kinds.map(([key, name]) => [name, areaWords(judge && judge[key])]).filter(([, words]) => words);
    const right = [];
    if (facts.length) right.push(el("p", null, "AUC: how often a node that leads to correct solutions has a larger C than one that does not. Within problems: both of one problem. Among siblings: both after the same steps. The other two compare nodes of all problems, so they also rise if C only knows which problems are hard. Chance level is 0.5."), el("dl", {class: "before-after"}, facts.map(([name, words]) => el("div", null, el("dt", null, name), el("dd", null, words)))));
    if (series.some((s) => s.points.length > 1)) right.push(chart({title: "AUC over iterations", series, height: 230, lines: [{y: 0.5, text: "chance level"}],
        x: {label: "Iteration", format: count, values: Array.from(new Set(series.flatMap((s) => s.points.map((p) => p.x))))}, y: {label: "AUC", format: (v) => fixed(v, 3), tick: (v) => fixed(v, 2), include: [0.45, 0.55]}}));
    const off = rounds.filter((r) => r.calibration && !r.calibration.judged).map((r) => r.iteration);
    if (off.length) right.push(el("p", null, `Without weight in iteration${off.length > 1 ? "s" : ""} ${off.join(", ")}: on the trees before, C was not better than chance within problems.`));
    const fitted = rounds.filter((r) => r.calibration && finite(r.calibration.error_after) !== null);
    if (fitted.length > 1) right.push(chart({title: "Calibration error over iterations", height: 200, series: [["error_before", "C"], ["error_after", "C~, fitted on the iteration before"]].map(([key, name], slot) => ({name, slot, points: fitted.map((r) => ({x: r.iteration, y: r.calibration[key]}))})),
        x: {label: "Iteration", format: count, values: fitted.map((r) => r.iteration)}, y: {label: "Calibration error", format: (v) => fixed(v, 3), tick: (v) => fixed(v, 2), include: [0]}}));
    if (!right.length && bins.length) right.push(emptyWords("The area under the curve (AUC) is unknown: that needs correct and incorrect chains."));
    return el("div", {class: "pair"}, parts, right.length ? el("div", null, right) : null);
}

/* Marks that only blanks part become one; a mark does not begin or end in blanks. */
function joined(spans) {
    const out = [];
    spans.forEach((span, index) => {
        const bridge = !span.own && /^[ \t]+$/.test(span.text) && index > 0 && index < spans.length - 1;
        const last = out[out.length - 1], own = span.own || bridge;
        if (last && last.own === own) last.text += span.text;
        else out.push({text: span.text, own});
    });
    return out.flatMap(({text, own}) => {
        if (!own) return [{text, own}];
        return text.split(/(^\s+|\n+|\s+$)/).filter(Boolean).map((part) => ({text: part, own: part.trim() !== ""}));
    });
}

/* The words of two texts; those that only one of them has are marked (longest common subsequence). */
function differences(before, after) {
    const [a, b] = [before, after].map((text) => text.match(/\s+|[\w.]+|[^\w\s]/gu) || []);
    if (a.length > 600 || b.length > 600) return null;
    const width = b.length + 1, best = new Uint16Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i--)
        for (let j = b.length - 1; j >= 0; j--)
            best[i * width + j] = a[i] === b[j] ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
    const left = [], right = [];
    const put = (list, word, own) => {
        const last = list[list.length - 1];
        if (last && last.own === own) last.text += word;
        else list.push({text: word, own});
    };
    let i = 0, j = 0;
    while (i < a.length || j < b.length) {
        if (i < a.length && j < b.length && a[i] === b[j]) {
            put(left, a[i++], false);
            put(right, b[j++], false);
        } else if (j >= b.length || (i < a.length && best[(i + 1) * width + j] >= best[i * width + j + 1])) put(left, a[i++], true);
        else put(right, b[j++], true);
    }
    return {left: joined(left), right: joined(right)};
}

function answerText(side, spans, tag) {
    if (!side) return emptyWords("Not answered.");
    const text = String(side.text || "");
    if (!spans || !text || (typeof katex !== "undefined" && text.search(MATHS) >= 0)) return quoted(text);
    return el("div", {class: "quoted", dir: "auto"}, spans.map((span) => (span.own && span.text.trim() ? el(tag, null, visible(span.text)) : visible(span.text))));
}

function answerCard(row) {
    const side = (name, s, spans, tag) => el("div", {class: "answer"}, el("h4", null, name, " ", s ? el("span", {class: "state " + (s.right ? "right" : "wrong")},
        (s.right ? "\u2713 correct" : "\u2715 incorrect")) : null), answerText(s, spans, tag),
        s ? el("p", {class: "muted"}, "Answer: ", s.answer === null || s.answer === undefined || s.answer === "" ? "none found" : named(s.answer, 80)) : null);
    const texts = [row.before, row.after].map((s) => String((s && s.text) || ""));
    const spans = row.before && row.after && texts[0].length + texts[1].length < 8000 ? differences(texts[0], texts[1]) : null;
    return el("article", {class: "compare"}, quoted(row.question || row.name || "Problem " + row.problem, {class: "asked"}),
        el("p", {class: "muted"}, row.gold === null || row.gold === undefined ? "Gold answer: not known" : ["Gold answer: ", named(row.gold, 80)]),
        el("div", {class: "two"}, side("Before", row.before, spans && spans.left, "del"), side("After", row.after, spans && spans.right, "ins")));
}

function answersSection(data) {
    const rows = (Array.isArray(data.answers) ? data.answers : []).filter((row) => row && (row.before || row.after));
    if (!rows.length) return emptyWords("There are no answers to compare: that needs an evaluation before and one after training.");
    const kind = (row) => ({gained: "gained", lost: "lost", wrong: "neither", right: "both"})[row.change] || (row.before && row.before.right ? (row.after && row.after.right ? "both" : "lost") : row.after && row.after.right ? "gained" : "neither");
    const names = {gained: "Learned", lost: "Lost", both: "Correct both times", neither: "Incorrect both times"};
    const groups = d3.nest().key(kind).object(rows), kinds = Object.keys(names).filter((name) => groups[name]);
    const totals = {gained: data.gain && data.gain.only_after, lost: data.gain && data.gain.only_before};
    const shownOf = (name) => count(groups[name].length) + (totals[name] > groups[name].length ? " of " + count(totals[name]) : "");
    const body = el("div", {class: "answers"});
    const show = (name, most) => {
        const list = groups[name];
        clear(body, list.slice(0, most).map(answerCard), list.length > most ? el("button", {type: "button", class: "more", onclick: () => show(name, list.length)}, `Show ${count(list.length - most)} more`) : null);
        buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.kind === name)));
    };
    const buttons = kinds.map((name) => el("button", {type: "button", "data-kind": name, onclick: () => show(name, 4)}, `${names[name]} (${shownOf(name)})`));
    show(kinds[0], 4);
    return [el("div", {class: "tabs", role: "group", "aria-label": "Which answers"}, buttons), body,
        el("p", {class: "muted"}, `${plural(rows.length, "problem")} of the evaluation, chosen to show each kind; run.db has all of them.`)];
}

function recipeSection(data) {
    const run = data.run || {}, rows = [["Run", run.name], ["Folder", run.folder], ["Task", run.task], ["Model", run.model], ["Seed", run.seed], ["Compute", run.compute],
        ["Espalier", data.espalier]].filter(([, value]) => value !== null && value !== undefined && value !== "");
    const total = roundsOf(data).reduce((sum, i) => ({sampled: sum.sampled + (i.tokens_sampled || 0), judged: sum.judged + (i.tokens_judged || 0), computed: sum.computed + (i.tokens_computed || 0), trees: sum.trees + (i.trees || 0), pairs: sum.pairs + (i.pairs || 0), updates: sum.updates + (i.updates || 0)}),
        {sampled: 0, judged: 0, computed: 0, trees: 0, pairs: 0, updates: 0});
    const facts = [["Trees searched", count(total.trees)], ["Preference pairs", count(total.pairs)], ["Updates", count(total.updates)],
        ["Tokens sampled in search", short(total.sampled)], ["Tokens read by the judge", short(total.judged)], ["Tokens spent (sampled and read by the judge)", short(total.sampled + total.judged)], ["Tokens computed in search", short(total.computed)],
        ["Tokens computed in all", short((roundsOf(data).slice(-1)[0] || {}).cumulative_tokens_computed)]];
    return [el("dl", {class: "provenance"}, rows.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, named(String(value), 120)))),
            facts.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, value)))),
        (run.changes || []).length ? el("div", {class: "changes"}, el("p", null, "The recipe was changed while the run went on. What was done before was done by the earlier values."),
            el("ul", null, run.changes.map(change => el("li", null, "Iteration ", count(change.iteration), ": ", visible(change.text || ""))))) : "",
        run.recipe_yaml ? el("details", null, el("summary", null, "The complete recipe"), el("pre", {class: "recipe", tabindex: "0"}, visible(run.recipe_yaml))) : emptyWords("The run's folder has no recipe.yaml."),
        el("p", {class: "muted"}, "Every number comes from the run's run.db. The same recipe on the same machine gives the same bits. Drawn with d3 (ISC licence)", typeof katex === "undefined" ? "" : ", mathematics set with KaTeX (MIT licence)", ".")];
}

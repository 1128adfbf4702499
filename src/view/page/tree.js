/* A search tree as data: unpacks the stored columns, goes back in the replay, describes a node. No drawing. */

const FINISHED = 1, CUT = 2, COMMITTED = 4, GOLD = 8;
const COLUMNS = ["parent", "text", "N", "Q", "V", "R", "logprob", "prior", "C", "O", "flags"];

/* The stored tree as nodes with children; a node that precedes its parent is left out. */
function unpackTree(stored, columns) {
    const at = Object.fromEntries((columns || COLUMNS).map((name, index) => [name, index]));
    const nodes = [];
    for (const row of stored.nodes || []) {
        const parent = nodes.length === 0 ? null : nodes[row[at.parent]] || null;
        const node = {id: nodes.length, parent, children: [], text: row[at.text], N: row[at.N] || 0, Q: finite(row[at.Q]),
                      V: finite(row[at.V]), R: finite(row[at.R]), logprob: finite(row[at.logprob]), prior: finite(row[at.prior]),
                      C: finite(row[at.C]), O: finite(row[at.O]), flags: row[at.flags] || 0, chosen: false, rejected: false,
                      depth: parent ? parent.depth + 1 : 0, lost: nodes.length > 0 && !parent};
        if (parent) parent.children.push(node);
        nodes.push(node);
    }
    for (const [, chosen, rejected] of pairsOf(stored)) {
        if (nodes[chosen]) nodes[chosen].chosen = true;
        if (nodes[rejected]) nodes[rejected].rejected = true;
    }
    return nodes;
}

/* The preference pairs of a tree: [state, chosen, rejected] each. */
function pairsOf(stored) {
    if (Array.isArray(stored.pairs)) return stored.pairs.filter((pair) => pair[1] > 0 && pair[2] > 0);
    return (stored.commits || []).map(([, state, , chosen, rejected]) => [state, chosen, rejected]).filter((pair) => pair[1] > 0);
}

function pathTo(node) {
    const path = [];
    for (let at = node; at; at = at.parent) path.unshift(at);
    return path;
}

/* N and Q of every node after the first `count` simulations: {N: [], Q: [], made: the number of nodes at that moment}. The nodes
   have the numbers of the end, and a simulation's row what Q rose by (in thousandths), or [N, Q] where N did not rise by 1, for
   the nodes of its path from the leaf up to the root it started from, without the steps that it made: so simulations are taken
   back, the last one first. Steps that are not made yet have no visits and no Q. */
function replayTo(nodes, replay, count) {
    const N = Float64Array.from(nodes, (node) => node.N), Q = Float64Array.from(nodes, (node) => Math.round(1000 * node.Q));
    let made = nodes.length;
    for (let last = replay.length - 1; last >= count; last--) {
        const [root, leaf, fresh, ...changes] = replay[last];
        made -= fresh;
        for (let node = nodes[leaf], at = 0; node; node = node.parent) {
            if (node.id < made) {
                const change = changes[at++], [visits, rise] = Array.isArray(change) ? change : [1, change];
                N[node.id] -= visits;
                Q[node.id] -= rise;
            }
            if (node.id === root) break;
        }
    }
    N.fill(0, made);
    Q.fill(NaN, made);
    return {N, Q: Q.map((q) => q / 1000), made};
}

/* How the chain ended at this node, and the mark for it. */
function fate(node) {
    if (node.flags & FINISHED) {
        if (node.O > 0) return {kind: "right", mark: "\u2713", words: "finished, correct"};
        if (node.O < 0) return {kind: "wrong", mark: "\u2715", words: "finished, incorrect"};
        return {kind: "finished", mark: "\u25a0", words: "finished, not graded"};
    }
    if (node.flags & CUT) return {kind: "cut", mark: "\u2702", words: "cut: too long"};
    return {kind: "open", mark: "", words: ""};
}

function nodeWords(node) {
    const said = [node.parent ? "Step " + node.depth : "The problem"];
    const end = fate(node).words;
    if (end) said.push(end);
    if (node.parent && node.flags & COMMITTED) said.push("committed");
    if (node.chosen) said.push("chosen in a pair");
    if (node.rejected) said.push("rejected in a pair");
    if (node.flags & GOLD) said.push("from the gold solution");
    return said.join(", ");
}

/* Colour of Q: rust below zero, teal above, grey at zero. Distinguishable with any colour vision. */
function qScale(most, dark) {
    const ends = dark ? ["#e08a4b", "#4a524e", "#4fc3b0"] : ["#b4581a", "#d9d6cc", "#0c7466"];
    return d3.scaleLinear().domain([-most, 0, most]).range(ends).interpolate(d3.interpolateLab).clamp(true);
}

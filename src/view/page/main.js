/* Puts the page together. A part that fails says so in its place, and the others stand. */

const SECTIONS = [
    ["result", "Result", headline, null],
    ["tree", "The tree", treeSection, "For each problem the model grows a tree of reasoning steps, follows what looks good, and learns from what the search found out. Walk in one:"],
    ["compute", "Compute", computeSection, null],
    ["watch", "Watch list", watchSection, "What goes wrong first when preference learning goes wrong."],
    ["judge", "Self-evaluation", judgeSection, "The model judges its own steps: C is the probability that it gives to \u201ccorrect\u201d."],
    ["answers", "Before and after", answersSection, "Greedy answers to held-out problems. Words that only one of the two has are marked."],
    ["recipe", "Recipe", recipeSection, null],
];

function start() {
    const page = document.getElementById("page"), bar = document.getElementById("sections");
    startTheme(document.getElementById("theme"));
    let data;
    try {
        data = JSON.parse(document.getElementById("data").textContent);
    } catch (error) {
        page.append(el("p", {class: "empty", role: "alert"}, "The data of this page is damaged (" + error.message + "). Make it again with: espalier report RUN"));
        return;
    }
    const name = excerpt((data.run && data.run.name) || "a run", 80);
    document.title = name + " \u2013 Espalier";
    clear(document.getElementById("name"), el("bdi", null, name));
    for (const [id, title, build, intro] of SECTIONS) {
        const section = el("section", {id, "aria-labelledby": id + "-title"}, el("h2", {id: id + "-title"}, title), intro ? el("p", {class: "intro"}, intro) : null);
        try {
            section.append(...[build(data)].flat(Infinity).filter(Boolean));
        } catch (error) {
            section.append(emptyWords("This part could not be drawn: " + error.message));
            console.error(id, error);
        }
        page.append(section);
        bar.append(el("li", null, el("a", {href: "#" + id}, title)));
    }
}

start();

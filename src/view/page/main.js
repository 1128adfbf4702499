/* Builds the page. A section that fails shows its error; the others are not affected. */

const RUN_SECTIONS = [
    ["result", "Result", headline, null],
    ["tree", "The tree", treeSection, "For each problem, the search grows a tree of reasoning steps: it visits promising steps more often, and the model learns from the differences between them. Explore a tree:"],
    ["compute", "Compute", computeSection, null],
    ["watch", "Watch list", watchSection, "Early signs of trouble in preference learning."],
    ["judge", "Self-evaluation", judgeSection, "The model judges its own steps: C is the probability that it assigns to \u201ccorrect\u201d."],
    ["answers", "Before and after", answersSection, "Greedy answers to held-out problems. Words that occur in only one of the two are marked."],
    ["recipe", "Recipe", recipeSection, null],
];

function start() {
    const page = document.getElementById("page"), bar = document.getElementById("sections");
    startTheme(document.getElementById("theme"));
    let data;
    try {
        data = JSON.parse(document.getElementById("data").textContent);
    } catch (error) {
        page.append(el("p", {class: "empty", role: "alert"}, "The data of this page is damaged (" + error.message + "). To write it again: espalier report RUN"));
        return;
    }
    const sections = data.page === "theory" ? theorySections(data) : data.page === "curves" ? curvesSections(data) : RUN_SECTIONS;
    const name = excerpt(data.name || (data.run && data.run.name) || "a run", 80);
    document.title = name + " \u2013 Espalier";
    clear(document.getElementById("name"), el("bdi", null, name));
    for (const [id, title, build, intro, label] of sections) {
        const section = el("section", {id, "aria-labelledby": id + "-title"}, el("h2", {id: id + "-title"}, title), intro ? el("p", {class: "intro"}, intro) : null);
        try {
            section.append(...[build(data)].flat(Infinity).filter(Boolean));
        } catch (error) {
            section.append(emptyWords("This section could not be drawn: " + error.message));
            console.error(id, error);
        }
        page.append(section);
        bar.append(el("li", null, el("a", {href: "#" + id}, label || title)));
    }
}

start();

"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const make = (tag, parent, text, fields = {}) => {
    const made = Object.assign(document.createElement(tag), fields);
    if (text) made.textContent = text;
    parent.append(made);
    return made;
  };
  let about = { series: true, reads_descriptions: true, phrases: [] };

  function say(text, wrong = false) {
    element("said").textContent = text;
    element("said").classList.toggle("wrong", wrong);
  }

  function addAction(phrase = "", seconds = 3) {
    const box = make("fieldset", element("actions"));
    const name = make("label", box, "phrase ");
    const input = make("input", name, "", { type: "text", value: phrase, required: true, maxLength: 500, dir: "auto" });
    input.setAttribute("list", "phrases");
    const row = make("div", box, "", { className: "row" });
    const time = make("label", row, "seconds ");
    const length = make("input", time, "", { type: "number", min: "0.1", max: "20", step: "any", value: seconds, required: true });
    make("button", row, "Remove", { type: "button" }).addEventListener("click", () => {
      if (element("actions").children.length > 1) box.remove();
    });
    const more = make("details", box);
    make("summary", more, "descriptions, one per paragraph");
    const texts = make("textarea", more, "", { dir: "auto", placeholder: "no descriptions known: the model reads the phrase itself" });
    const load = async () => {
      if (!about.reads_descriptions || !input.value.trim()) return;
      const answer = await fetch(`/descriptions?phrase=${encodeURIComponent(input.value)}`);
      const known = await answer.json();
      if (answer.ok) texts.value = known.join("\n\n");
    };
    more.hidden = !about.reads_descriptions;
    input.addEventListener("change", load);
    box.read = () => ({
      phrase: input.value,
      seconds: Number(length.value),
      descriptions: more.hidden ? null : texts.value.split(/\n\s*\n/).map((t) => t.trim()).filter(Boolean),
    });
    load();
  }

  function show(found) {
    const frame = document.createElement("iframe");
    frame.src = `/result/${found.result}`;
    frame.title = "generated motions";
    element("shown").replaceChildren(frame);
    element("notes").replaceChildren();
    for (const note of found.notes) make("li", element("notes"), note);
    element("files").replaceChildren();
    found.motions.forEach((motion, number) => {
      const item = make("li", element("files"), `${motion.title || motion.text.join(", then ")}: `);
      for (const ending of found.downloads) {
        make("a", item, ending, { href: `/result/${found.result}/${number}.${ending}`, download: "" });
        item.append(" ");
      }
    });
  }

  element("request").addEventListener("submit", async (event) => {
    event.preventDefault();
    element("go").disabled = true;
    say("Generating…");
    const started = performance.now();
    try {
      const answer = await fetch("/generate", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          actions: [...element("actions").children].map((box) => box.read()),
          samples: Number(element("samples").value),
          seed: Number(element("seed").value),
          fact: Number(element("fact").value),
        }),
      });
      const found = await answer.json();
      if (!answer.ok) throw new Error(found.error);
      show(found);
      say(`Done in ${((performance.now() - started) / 1000).toFixed(1)} s.`);
    } catch (error) {
      say(error.message, true);
    }
    element("go").disabled = false;
  });
  element("add").addEventListener("click", () => addAction());

  fetch("/about").then((answer) => answer.json()).then((found) => {
    about = found;
    document.title = `actiongpt_jax: ${found.model}`;
    for (const phrase of found.phrases) make("option", element("phrases"), "", { value: phrase });
    if (!found.series) document.querySelector("h1").textContent = "Actions to perform, each as a separate motion";
    addAction(found.phrases[0] || "");
  }).catch((error) => say(error.message, true));
})();

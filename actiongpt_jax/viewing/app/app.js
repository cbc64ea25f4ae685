"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const make = (tag, parent, text, fields = {}) => {
    const made = Object.assign(document.createElement(tag), fields);
    if (text) made.textContent = text;
    parent.append(made);
    return made;
  };
  const ask = async (path, options) => {
    const answer = await fetch(path, options);
    const content = await answer.json();
    if (!answer.ok) throw new Error(content.error);
    return content;
  };
  let about = { series: true, reads_descriptions: true, seconds: 3 };
  let actions = [], latest = null;  // latest: the action that an example replaces

  function say(text, wrong = false) {
    element("said").textContent = text;
    element("said").classList.toggle("wrong", wrong);
  }

  function addAction(phrase = "", seconds = about.seconds) {
    const box = make("fieldset", element("actions"));
    const legend = make("legend", box);
    const name = make("label", box, "phrase ");
    const input = make("input", name, "", { type: "text", value: phrase, required: true, maxLength: 500, dir: "auto" });
    input.setAttribute("list", "phrases");
    const row = make("div", box, "", { className: "row" });
    const time = make("label", row, "seconds ");
    const length = make("input", time, "", { type: "number", min: "0.1", max: "20", step: "any", value: seconds, required: true });
    const more = make("details", box);
    make("summary", more, "descriptions, one per paragraph");
    const texts = make("textarea", more, "", {
      dir: "auto", ariaLabel: "descriptions", placeholder: "empty: the model reads the phrase itself",
    });
    more.hidden = !about.reads_descriptions;
    // The phrase whose descriptions the user edited. Edits count for this phrase only.
    let edited = null;
    const load = async () => {
      const asked = input.value;
      if (edited === asked) return;
      edited = null;
      texts.value = "";
      if (!about.reads_descriptions || !asked.trim()) return;
      const known = await ask(`/descriptions?phrase=${encodeURIComponent(asked)}`).catch(() => []);
      // Meanwhile the phrase may be another one, or the user may have begun to edit.
      if (input.value === asked && edited === null) texts.value = known.join("\n\n");
    };
    texts.addEventListener("input", () => { edited = input.value; });
    input.addEventListener("input", load);
    const action = {
      box, legend, load, input,
      read: () => ({
        phrase: input.value,
        seconds: Number(length.value),
        descriptions: edited === input.value
          ? texts.value.split(/\n\s*\n/).map((t) => t.trim()).filter(Boolean) : null,
      }),
    };
    box.addEventListener("focusin", () => { latest = action; });
    const remove = make("button", row, "Remove", { type: "button" });
    remove.addEventListener("click", () => {
      actions = actions.filter((other) => other !== action);
      box.remove();
      number();
    });
    actions.push(action);
    latest = action;
    number();
    load();
    return action;
  }

  function number() {
    if (!actions.includes(latest)) latest = actions[actions.length - 1];
    actions.forEach(({ box, legend }, i) => {
      legend.textContent = `action ${i + 1}`;
      box.querySelector("button").hidden = actions.length === 1;
    });
  }

  function show(found) {
    const frame = document.createElement("iframe");
    frame.src = `/result/${found.result}`;
    frame.title = "generated motions";
    element("shown").replaceChildren(frame);
    for (const id of ["notes", "files"]) element(id).replaceChildren();
    for (const note of found.notes) make("li", element("notes"), note);
    found.motions.forEach((motion, number) => {
      const item = make("li", element("files"), `${motion.title || motion.text.join(", then ")}: `);
      for (const ending of found.downloads) {
        make("a", item, ending, { href: `/result/${found.result}/${number}.${ending}`, download: "" });
        item.append(" ");
      }
    });
    element("notes").hidden = !found.notes.length;
    for (const id of ["download", "files"]) element(id).hidden = false;
  }

  // Says every second what the server is doing, until `stop` is called.
  function watch() {
    say("Generating…");
    const started = performance.now();
    const timer = setInterval(async () => {
      const status = await ask("/status").catch(() => null);
      if (!status || done) return;
      const seconds = Math.round((performance.now() - started) / 1000);
      if (status.waiting > 1) say(`${status.waiting} requests are waiting… ${seconds} s`);
      else if (status.compiling)
        say(`Compiling the model for a new length or number of samples, once; this can take half a minute… ${seconds} s`);
      else say(`Generating… ${seconds} s`);
    }, 1000);
    let done = false;
    return () => {
      done = true;
      clearInterval(timer);
      return ((performance.now() - started) / 1000).toFixed(1);
    };
  }

  element("request").addEventListener("submit", async (event) => {
    event.preventDefault();
    element("go").disabled = true;
    const stop = watch();
    try {
      const found = await ask("/generate", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          actions: actions.map((action) => action.read()),
          samples: Number(element("samples").value),
          seed: Number(element("seed").value),
          fact: Number(element("fact").value),
          describe: element("describe").checked,
        }),
      });
      const seconds = stop();
      show(found);
      for (const action of actions) action.load();
      say(`Done in ${seconds} s.`);
    } catch (error) {
      stop();
      say(error.message, true);
    }
    element("go").disabled = false;
  });
  element("add").addEventListener("click", () => addAction().input.focus());

  ask("/about").then((found) => {
    about = found;
    document.title = `actiongpt_jax: ${found.model}`;
    for (const phrase of found.phrases) make("option", element("phrases"), "", { value: phrase });
    element("writer").textContent = found.writer || "";
    element("ask").hidden = !found.writer || !found.reads_descriptions;
    if (!found.series) element("kind").textContent = "Actions to perform, each as a separate motion";
    for (const phrase of found.examples) {
      const button = make("button", element("examples"), phrase, { type: "button", dir: "auto" });
      button.addEventListener("click", () => {
        if (element("go").disabled) return;
        latest.input.value = phrase;
        latest.load();
        element("request").requestSubmit();
      });
    }
    element("try").hidden = !found.examples.length;
    addAction(found.opening ? found.opening.motions[0].text[0] : found.examples[0]);
    if (found.opening) show(found.opening);
  }).catch((error) => say(error.message, true));
})();

"use strict";

// Charts can be pointed at, or walked along with the arrow keys: a chart is a slider whose value is a point.
for (const chart of document.querySelectorAll(".chart[data-points]")) {
  const points = JSON.parse(chart.dataset.points);
  const says = chart.parentElement.querySelector(".says");
  const rests = says.textContent;
  const cursor = document.createElement("span");
  cursor.className = "cursor";
  cursor.hidden = true;
  chart.append(cursor);
  let at = points.length - 1;

  const show = (next) => {
    at = Math.max(0, Math.min(points.length - 1, next));
    const [x, y, text] = points[at];
    cursor.hidden = false;
    cursor.style.left = `${x}%`;
    cursor.style.setProperty("--y", `${y}%`);
    says.textContent = text;
    chart.setAttribute("aria-valuenow", at + 1);
    chart.setAttribute("aria-valuetext", text);
  };
  const rest = () => {
    if (document.activeElement === chart) return;
    cursor.hidden = true;
    says.textContent = rests;
  };
  const nearest = (event) => {
    const box = chart.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 100;
    let best = 0;
    points.forEach((point, i) => {
      if (Math.abs(point[0] - x) < Math.abs(points[best][0] - x)) best = i;
    });
    show(best);
  };
  const keys = {
    ArrowLeft: () => at - 1, ArrowDown: () => at - 1, ArrowRight: () => at + 1, ArrowUp: () => at + 1,
    PageDown: () => at - 10, PageUp: () => at + 10, Home: () => 0, End: () => points.length - 1,
  };

  chart.setAttribute("role", "slider");
  chart.setAttribute("tabindex", "0");
  chart.setAttribute("aria-orientation", "horizontal");
  chart.setAttribute("aria-valuemin", 1);
  chart.setAttribute("aria-valuemax", points.length);
  chart.setAttribute("aria-valuenow", at + 1);
  chart.setAttribute("aria-valuetext", points[at][2]);
  chart.addEventListener("pointermove", nearest);
  chart.addEventListener("pointerdown", nearest);
  chart.addEventListener("pointerleave", rest);
  chart.addEventListener("focus", () => show(at));
  chart.addEventListener("blur", rest);
  chart.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    show(keys[event.key]());
  });
}

// Commands have a button that copies them; where a browser refuses, the text is selected instead.
for (const command of document.querySelectorAll(".command")) {
  const code = command.querySelector("pre");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  command.classList.add("copies");
  command.append(button);
}

// What is folded away is printed, too.
const folded = [];
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details:not([open])")) {
    each.open = true;
    folded.push(each);
  }
});
addEventListener("afterprint", () => {
  for (const each of folded.splice(0)) each.open = false;
});

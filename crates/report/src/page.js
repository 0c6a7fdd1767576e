"use strict";
const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
});
const filters = document.querySelectorAll("[data-filter]");
for (const button of filters) {
  button.addEventListener("click", () => {
    for (const other of filters) other.setAttribute("aria-pressed", String(other === button));
    for (const step of document.querySelectorAll(".step")) {
      step.hidden = button.dataset.filter !== "all" && step.dataset.state !== button.dataset.filter;
    }
  });
}
const cell = document.getElementById("cell");
for (const layer of document.querySelectorAll(".layer")) {
  layer.addEventListener("click", () => {
    for (const other of document.querySelectorAll(".layer")) other.classList.toggle("chosen", other === layer);
    cell.textContent = layer.dataset.about;
  });
}

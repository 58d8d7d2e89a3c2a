// What is laid out wrongly on this page, with everything unfolded, as sentences.
for (const details of document.querySelectorAll("details")) details.open = true;
const wrong = new Set();
const width = innerWidth;
const name = (element) => {
  const marks = [element.id && `#${element.id}`, ...[...element.classList].map((one) => `.${one}`)].filter(Boolean);
  const text = element.textContent.trim().replace(/\s+/g, " ").slice(0, 30);
  return `${element.parentElement.localName} > ${element.localName}${marks.join("")} "${text}"`;
};
// Whether it stands in something that scrolls sideways by itself.
const scrolls = (element) => {
  for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(at).overflowX)) return true;
  }
  return false;
};
if (document.scrollingElement.scrollWidth > width) wrong.add(`the page is ${document.scrollingElement.scrollWidth} wide`);
for (const element of document.querySelectorAll("body *")) {
  if (!element.checkVisibility({ visibilityProperty: true }) || element.closest(".sr, .skip, svg, option, script")) continue;
  const box = element.getBoundingClientRect();
  if (box.width === 0 || box.height === 0) continue;
  const style = getComputedStyle(element);
  if (!scrolls(element)) {
    if (box.right > width + 1 || box.left < -1) wrong.add(`${name(element)} sticks out of the window`);
    const card = element.parentElement.closest(".panel, .auth main, .notice, .tiles > div, td, th, button, .btn, .badge, .copy, .segments, .menu > ul, dd, dt, li");
    if (card && style.position !== "absolute" && !element.closest(".menu > ul, .decide")) {
      const around = card.getBoundingClientRect();
      if (box.right > around.right + 1 || box.left < around.left - 1) wrong.add(`${name(element)} sticks out of ${card.localName}.${card.className}`);
    }
    // Text that is wider than its own box.
    const isBox = style.display !== "inline" && !["input", "select", "textarea"].includes(element.localName);
    if (isBox && style.overflowX === "visible" && element.scrollWidth > element.clientWidth + 1 && element.children.length === 0) {
      wrong.add(`the text of ${name(element)} sticks out`);
    }
  }
  if (element.localName === "input") continue;
  const cuts = ["hidden", "clip"].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1;
  if (cuts && style.textOverflow !== "ellipsis" && !element.title) wrong.add(`${name(element)} is cut off`);
  if (element.localName === "time" && element.closest("td, th")) {
    const line = parseFloat(style.lineHeight) || 1.5 * parseFloat(style.fontSize);
    const tops = new Set([...element.getClientRects()].map((rect) => Math.round(rect.top)));
    if (tops.size > 1 || box.height > 1.6 * line) wrong.add(`the date ${name(element)} has ${tops.size} lines`);
  }
}
return [...wrong];

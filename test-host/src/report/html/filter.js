(() => {
  const search = document.getElementById("search");
  const input = search.querySelector("input"), count = search.querySelector("output");
  const groups = [...document.querySelectorAll("details.group")].map((group) => ({
    group,
    text: group.querySelector("summary").textContent.toLowerCase(),
    rows: [...group.querySelectorAll("details.exchange")].map((row) => ({
      row,
      text: row.querySelector("summary").textContent.toLowerCase(),
    })),
  }));
  let waiting;
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { group, text, rows } of groups) {
      let here = 0;
      for (const each of rows) {
        const fits = words.every((word) => each.text.includes(word) || text.includes(word));
        each.row.hidden = !fits;
        here += fits;
      }
      group.hidden = words.length > 0 && here === 0;
      found += here;
    }
    count.textContent = words.length ? `${found} of those shown` : "";
  };
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 150);
  });
  search.hidden = false;
})();

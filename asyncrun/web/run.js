// On the page of a run: the way back to the list, and while the run goes on, what is new of it.

const trouble = make("p", "warning");
trouble.hidden = true;
trouble.setAttribute("role", "alert");
const back = make("a", "", "All runs");
back.href = "../";
document.querySelector("header").prepend(make("p", "", back), trouble);

if (JSON.parse(byId("data").textContent).goes_on) {
  keepFresh(
    () => `${location.pathname.split("/").pop()}.json`,
    (run) => {
      document.dispatchEvent(new CustomEvent("run-document", { detail: run }));
      return run.goes_on;
    },
    (words) => {
      trouble.hidden = !words;
      trouble.textContent = words;
    },
  );
}

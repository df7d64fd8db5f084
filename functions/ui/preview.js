// Shows a rendered notification that the console posts. The page's sandbox gives it an origin of its own, and its policy
// runs no script but this one: `onerror=` and `<script>` in a template do nothing.
addEventListener("message", (event) => {
  if (event.source !== parent || typeof event.data?.html !== "string") return;
  const rendered = new DOMParser().parseFromString(event.data.html, "text/html");
  const styles = [...rendered.head.querySelectorAll("style")];
  document.body.replaceChildren(...styles, ...rendered.body.childNodes);
});
parent.postMessage({ type: "preview/ready" }, "*");
